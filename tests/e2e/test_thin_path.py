"""What people do, through every process: a post to a follower's feed, a story to a tray, a message to a screen."""

from uuid import uuid4

from devstack.demo import upload
from devstack.demo.cast import Cast
from devstack.demo.chapters.messages import INBOX, history, send
from devstack.demo.chapters.posts import feed, ids, post
from devstack.demo.chapters.stories import PUBLISH, TRAY
from devstack.demo.photos import choose
from tests.fixtures.stack import eventually

CAT = next(photo for photo in choose(None) if photo.name == "chelsea")


async def test_F3_a_photo_travels_from_upload_to_a_followers_feed_and_to_no_strangers(cast: Cast) -> None:
    made = await post(cast.ada, CAT)

    async def ben_has_it() -> bool:
        return ids(await feed(cast.ben)) == [made["id"]]

    await eventually(ben_has_it, within=5)
    assert ids(await feed(cast.dan)) == []


async def test_F5_authors_see_their_post_in_the_very_next_feed(cast: Cast) -> None:
    made = [(await post(cast.ada, CAT))["id"] for _ in range(2)]
    assert ids(await feed(cast.ada)) == made[::-1]


async def test_a_story_reaches_the_trays_of_followers_only(cast: Cast) -> None:
    upload_id, done = await upload.send(cast.ada, CAT, "STORY")
    assert done["status"] == "READY"
    given = {"uploadId": upload_id, "idempotencyKey": str(uuid4())}
    story = (await cast.ada.ask(PUBLISH, input=given))["publishStory"]["story"]

    async def ben_has_it() -> bool:
        reels = (await cast.ben.ask(TRAY))["storyTray"]
        return [one["id"] for reel in reels for one in reel["stories"]] == [story["id"]]

    await eventually(ben_has_it, within=5)
    assert (await cast.dan.ask(TRAY))["storyTray"] == []


async def test_a_message_reaches_the_open_inbox_and_the_history(cast: Cast) -> None:
    async with cast.cleo.listen(INBOX, after=None) as inbox:
        assert (await inbox.next())["inbox"]["__typename"] == "InboxCaughtUp"
        sent = await send(cast.ben, cast.cleo, "hello")
        event = (await inbox.next())["inbox"]
    assert (event["message"]["id"], event["message"]["content"]) == (sent["id"], "hello")
    stored = (await history(cast.cleo, cast.ben))["messages"]["edges"]
    assert [edge["node"]["id"] for edge in stored] == [sent["id"]]
