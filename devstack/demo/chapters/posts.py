"""Chapter two: a photo travels from Ada's camera to the feeds of those who follow her."""

import functools
import io
import time
from typing import Any
from uuid import uuid4

from PIL import Image

from devstack.demo import upload
from devstack.demo.api import Person
from devstack.demo.cast import Cast
from devstack.demo.narrator import Narrator, until
from devstack.demo.photos import Photograph

POST = "id caption altText blurhash createdAt likeCount viewerHasLiked photoUrl(width: 640) author { username }"
CREATE = f"mutation ($input: CreatePostInput!) {{ createPost(input: $input) {{ post {{ {POST} }} }} }}"
FEED = f"""
query ($first: Int!, $after: String) {{
  feed(first: $first, after: $after) {{ edges {{ cursor node {{ {POST} }} }} pageInfo {{ hasNextPage endCursor }} }}
}}
"""
PHOTO = "query ($id: ID!, $width: Int) { post(id: $id) { photoUrl(width: $width) } }"
LIKE = f"mutation ($id: ID!) {{ likePost(input: {{postId: $id}}) {{ post {{ {POST} }} }} }}"
WIDTHS = (1080, 640, 320)
DELIVERED_SECONDS = 5.0
"""The promise: a post is in every active follower's feed within 5 s."""


async def posts(cast: Cast, photographs: list[Photograph], tell: Narrator) -> None:
    """Ada uploads and posts; followers find it; they scroll and like."""
    tell.chapter("Photos and feeds")
    first = await _first_post(cast, photographs[0], tell)
    await _photo_is_served(cast, first, tell)
    made = [first]
    for number, photo in enumerate(photographs[1:], start=1):
        author = (cast.ada, cast.cleo)[number % 2]
        with tell.step(f"{author.name} posts “{photo.name}” ({len(photo.content):,} bytes).") as step:
            made.append(await post(author, photo))
            step.equal(made[-1]["author"]["username"], author.username, "the post bears its author")
    await _scroll(cast, made, tell)
    await _like(cast, first, tell)


async def post(author: Person, photo: Photograph) -> dict[str, Any]:
    """Upload a photo and post it; returns the post."""
    upload_id, _ = await upload.send(author, photo, "POST")
    return await _create(author, upload_id, photo)


async def feed(viewer: Person, *, first: int = 20, after: str | None = None) -> dict[str, Any]:
    """A page of somebody's feed."""
    page: dict[str, Any] = (await viewer.ask(FEED, first=first, after=after))["feed"]
    return page


def ids(page: dict[str, Any]) -> list[str]:
    """The posts' ids of a page, in order."""
    return [edge["node"]["id"] for edge in page["edges"]]


async def _first_post(cast: Cast, photo: Photograph, tell: Narrator) -> dict[str, Any]:
    ada = cast.ada
    with tell.step(f"Ada asks to upload “{photo.name}” and gets a signed form.") as step:
        permission = await upload.permit(ada, photo, "POST")
        step.equal(permission["upload"]["status"], "PENDING", "the upload awaits its bytes")
    with tell.step(f"{len(photo.content):,} bytes go straight to the object store.") as step:
        status = await ada.api.post_form(permission["form"], photo.content, content_type=photo.content_type)
        step.check(status in (200, 201, 204), f"the object store takes the form (it said {status})")
    with tell.step("The photo is checked, re-encoded and stored in all sizes.") as step:
        done = await upload.complete(ada, permission["upload"]["id"])
        step.equal(done["status"], "READY", f"the photo is accepted ({done['rejectedReason']})")
    key = str(uuid4())
    with tell.step("Ada posts it.") as step:
        made = await _create(ada, permission["upload"]["id"], photo, key=key)
        committed = time.perf_counter()
    with tell.step("It stands in her own feed at once.") as step:
        step.equal(ids(await feed(ada)), [made["id"]], "Ada's feed is her post")
    for follower in (cast.ben, cast.cleo):
        await until(
            functools.partial(feed, follower),
            lambda page: ids(page) == [made["id"]],
            within=DELIVERED_SECONDS,
            what=f"the post is in {follower.name}'s feed",
        )
        elapsed = (time.perf_counter() - committed) * 1000
        tell.checks += 1
        tell.tell(f"after the commit it is in {follower.name}'s feed.", elapsed)
    with tell.step("Dan follows nobody: his feed is empty.") as step:
        step.equal(ids(await feed(cast.dan)), [], "Dan's feed is empty")
    with tell.step("Ada's app lost the answer and posts again with the same key: the same post.") as step:
        again = await _create(ada, permission["upload"]["id"], photo, key=key)
        step.equal(again["id"], made["id"], "the second answer is the first post")
        step.equal(ids(await feed(ada)), [made["id"]], "there is one post")
    return made


async def _create(author: Person, upload_id: str, photo: Photograph, *, key: str | None = None) -> dict[str, Any]:
    given = {
        "uploadId": upload_id,
        "caption": f"{photo.name}, by {author.name}",
        "altText": f"A photograph: {photo.name}",
        "idempotencyKey": key or str(uuid4()),
    }
    made: dict[str, Any] = (await author.ask(CREATE, input=given))["createPost"]["post"]
    return made


async def _photo_is_served(cast: Cast, made: dict[str, Any], tell: Narrator) -> None:
    for width in WIDTHS:
        with tell.step(f"Ben's phone loads it {width} px wide.") as step:
            url = (await cast.ben.ask(PHOTO, id=made["id"], width=width))["post"]["photoUrl"]
            fetched = await cast.ben.api.fetch(url)
            step.done()
            step.equal(fetched.status, 200, "the photo is there")
            step.check(fetched.content_type in ("image/webp", "image/jpeg"), f"its type is {fetched.content_type}")
            step.check("immutable" in fetched.cache_control, f"it may be cached for ever ({fetched.cache_control!r})")
            image = Image.open(io.BytesIO(fetched.body))
            step.check(0 < image.width <= width, f"it is at most {width} px wide (it is {image.width})")
            step.check(not image.getexif(), "it bears no metadata of the camera")


async def _scroll(cast: Cast, made: list[dict[str, Any]], tell: Narrator) -> None:
    expected = [one["id"] for one in reversed(made)]
    with tell.step(f"Ben's feed has all {len(made)} posts, newest first.") as step:
        page = await until(
            lambda: feed(cast.ben),
            lambda one: len(one["edges"]) == len(made),
            within=DELIVERED_SECONDS,
            what="all posts are in Ben's feed",
        )
        step.done()
        step.equal(ids(page), expected, "the order is newest first")
        step.check(all(edge["node"]["blurhash"] for edge in page["edges"]), "each has a blurhash")
    with tell.step("He scrolls through it two by two: each post once.") as step:
        seen: list[str] = []
        after = None
        while True:
            page = await feed(cast.ben, first=2, after=after)
            seen += ids(page)
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                break
        step.equal(seen, expected, "scrolling yields every post once, in order")


async def _like(cast: Cast, made: dict[str, Any], tell: Narrator) -> None:
    with tell.step("Ben likes Ada's first photo; again changes nothing.") as step:
        for _ in range(2):
            liked = (await cast.ben.ask(LIKE, id=made["id"]))["likePost"]["post"]
        step.check(liked["viewerHasLiked"], "Ben is told that he likes it")
        step.equal(liked["likeCount"], 1, "it has one like")
    with tell.step("Cleo sees one like, and that it isn't hers.") as step:
        page = await until(
            lambda: feed(cast.cleo),
            lambda one: one["edges"][-1]["node"]["likeCount"] == 1,
            within=DELIVERED_SECONDS,
            what="the like is counted",
        )
        step.check(not page["edges"][-1]["node"]["viewerHasLiked"], "Cleo does not like it")
