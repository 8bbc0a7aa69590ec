"""Chapter three: a story, for a day."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from devstack.demo import upload
from devstack.demo.api import Person
from devstack.demo.cast import Cast
from devstack.demo.narrator import Narrator, until
from devstack.demo.photos import Photograph

STORY = "id photoUrl createdAt expiresAt viewerHasSeen author { username }"
PUBLISH = f"mutation ($input: PublishStoryInput!) {{ publishStory(input: $input) {{ story {{ {STORY} }} }} }}"
TRAY = f"{{ storyTray {{ hasUnseen author {{ username }} stories {{ {STORY} }} }} }}"
OF_PERSON = f"query ($who: ID!) {{ stories(userId: $who) {{ {STORY} }} }}"
NODE = "query ($id: ID!) { node(id: $id) { id } }"
SEEN = "mutation ($id: ID!) { markStorySeen(input: {storyId: $id}) { story { viewerHasSeen } } }"
VIEWERS = "query ($id: ID!) { node(id: $id) { ... on Story { viewers { edges { node { username } } } } } }"
HOME = """
{ home { feed(first: 5) { edges { node { id } } } storyTray { author { username } stories { id } } } }
"""
SOON_SECONDS = 5.0


async def stories(cast: Cast, photographs: list[Photograph], tell: Narrator) -> None:
    """Ada publishes a story; her followers see it, a stranger doesn't."""
    tell.chapter("Stories")
    photo = photographs[-1]
    with tell.step(f"Ada publishes “{photo.name}” as a story, upload and all.") as step:
        upload_id, done = await upload.send(cast.ada, photo, "STORY")
        step.equal(done["status"], "READY", "the photo is accepted")
        given = {"uploadId": upload_id, "idempotencyKey": str(uuid4())}
        story = (await cast.ada.ask(PUBLISH, input=given))["publishStory"]["story"]
        life = datetime.fromisoformat(story["expiresAt"]) - datetime.fromisoformat(story["createdAt"])
        step.equal(life, timedelta(hours=24), "it lives for 24 hours exactly")
    with tell.step("It is in Ben's tray, unseen.") as step:
        tray = await until(lambda: _tray(cast.ben), bool, within=SOON_SECONDS, what="Ben's tray has a reel")
        step.equal([reel["author"]["username"] for reel in tray], [cast.ada.username], "one reel, Ada's")
        step.equal([one["id"] for one in tray[0]["stories"]], [story["id"]], "with one story")
        step.check(tray[0]["hasUnseen"], "which Ben has not seen")
    await _photo_is_private(cast, tray[0]["stories"][0]["photoUrl"], tell)
    with tell.step("Ben has looked at it: seen, and Ada is told by whom.") as step:
        await cast.ben.ask(SEEN, id=story["id"])
        step.check(not (await _tray(cast.ben))[0]["hasUnseen"], "nothing is unseen in Ben's tray")
        viewers = (await cast.ada.ask(VIEWERS, id=story["id"]))["node"]["viewers"]["edges"]
        step.equal([edge["node"]["username"] for edge in viewers], [cast.ben.username], "Ben alone has seen it")
    with tell.step("To Dan, who doesn't follow Ada, there is no such story on any path.") as step:
        step.equal(await _tray(cast.dan), [], "Dan's tray is empty")
        step.equal((await cast.dan.ask(OF_PERSON, who=cast.ada.user_id))["stories"], [], "nor by person")
        step.equal((await cast.dan.ask(NODE, id=story["id"]))["node"], None, "nor by id")
    with tell.step("Ben's home screen: feed and stories in one query.") as step:
        home = (await cast.ben.ask(HOME))["home"]
        step.done()
        step.check(home["feed"]["edges"], "the feed is there")
        step.equal(home["storyTray"][0]["stories"][0]["id"], story["id"], "so is the story")


async def _tray(viewer: Person) -> list[dict[str, Any]]:
    reels: list[dict[str, Any]] = (await viewer.ask(TRAY))["storyTray"]
    return reels


async def _photo_is_private(cast: Cast, url: str, tell: Narrator) -> None:
    with tell.step("Its photo loads by the signed address, and by no other.") as step:
        fetched = await cast.ben.api.fetch(url)
        step.done()
        step.equal(fetched.status, 200, "the signed address works")
        step.check("no-store" in fetched.cache_control, f"nobody may keep it ({fetched.cache_control!r})")
        unsigned = urlsplit(url)._replace(query="").geturl()
        step.equal((await cast.ben.api.fetch(unsigned)).status, 403, "without the signature it is refused")
