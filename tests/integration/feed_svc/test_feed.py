"""The home feed, from the post to the follower, on real servers."""

import pytest

from heliograph.feed.v1 import post_service_pb2
from mesh.errors import HeliographError
from tests.integration.feed_svc.world import World


async def test_a_post_travels_through_outbox_and_fan_out_into_a_timeline(world: World) -> None:
    await world.people(1, 2)
    await world.follow(2, 1)
    await world.warm(2)
    post = await world.post(1, "sunrise")
    await world.caught_up()
    page = await world.page(2)
    assert [item.post.post_id for item in page.items] == [post]
    assert page.items[0].post.caption == "sunrise"
    assert page.items[0].post.author.username == "user1"
    assert page.items[0].post.photo.base_url == "http://photos.example/ab/cdef/"
    home = await world.parts.timelines.read_home(2, before=2**63 - 1, limit=10)  # type: ignore[arg-type]
    assert home.post_ids == (post,)


async def test_F2_scrolling_below_the_floor_finds_everything(world: World) -> None:
    await world.people(1, 2)
    await world.follow(2, 1)
    posts = [await world.post(1) for _ in range(45)]
    await world.warm(2)
    assert await world.feed(2, size=7) == posts[::-1]


async def test_a_pulled_author_stands_beside_a_pushed_one(world: World) -> None:
    await world.people(1, 2, 3)
    await world.follow(3, 1)
    await world.follow(3, 2)
    await world.warm(3)
    pushed = await world.post(1)
    await world.threshold(0)
    pulled = await world.post(2)
    await world.parts.pulled.refresh()
    await world.caught_up()
    assert await world.feed(3) == [pulled, pushed]


async def test_likes_are_counted_once(world: World) -> None:
    await world.people(1, 2, 3)
    post = await world.post(1)
    like = post_service_pb2.LikePostRequest(post_id=post)
    for person in (2, 2, 3):
        item = (await world.call(world.faces.posts.LikePost, like, by=person)).item
    assert (item.like_count, item.viewer_has_liked) == (2, True)
    unlike = post_service_pb2.UnlikePostRequest(post_id=post)
    for _ in range(2):
        item = (await world.call(world.faces.posts.UnlikePost, unlike, by=3)).item
    assert (item.like_count, item.viewer_has_liked) == (1, False)
    assert await world.parts.store.wrong_like_counts(limit=10) == []
    assert await world.parts.store.wrong_user_counts(limit=10) == []


async def test_deleting_removes_the_photo(world: World) -> None:
    await world.people(1)
    post = await world.post(1)
    await world.delete(1, post)
    upload = next(iter(world.media.references))
    for _ in range(100):
        if upload in world.media.deleted:
            return
        import asyncio

        await asyncio.sleep(0.05)
    pytest.fail("the photo was not deleted")


@pytest.mark.parametrize("size", [-1, 51])
async def test_a_page_size_outside_its_limits_is_refused(world: World, size: int) -> None:
    await world.people(1)
    with pytest.raises(HeliographError) as refused:
        await world.page(1, size=size)
    assert refused.value.reason == "PAGE_SIZE_INVALID"
    assert refused.value.metadata == {"limit": "50"}


async def test_a_cursor_of_somebody_else_is_refused(world: World) -> None:
    await world.people(1, 2)
    for _ in range(3):
        await world.post(1)
    token = (await world.page(1, size=1)).next_page_token
    for viewer, wrong in ((2, token), (1, token[:-2] + "xx"), (1, "nonsense")):
        with pytest.raises(HeliographError) as refused:
            await world.page(viewer, token=wrong)
        assert refused.value.reason == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize(
    ("caption", "reason"),
    [("x" * 2201, "CAPTION_TOO_LONG"), ("a\0b", "TEXT_INVALID"), ("🌅 مرحبا " * 100, None), ("x" * 2200, None)],
)
async def test_captions(world: World, caption: str, reason: str | None) -> None:
    await world.people(1)
    if reason is None:
        post = await world.post(1, caption)
        assert (await world.page(1)).items[0].post.caption == caption
        assert (await world.page(1)).items[0].post.post_id == post
        return
    with pytest.raises(HeliographError) as refused:
        await world.post(1, caption)
    assert refused.value.reason == reason


async def test_refused_edges(world: World) -> None:
    await world.people(1, 2, 3)
    await world.block(1, 2)
    for follower, followee, reason in (
        (1, 1, "CANNOT_FOLLOW_SELF"),
        (1, 2, "USER_BLOCKED"),
        (2, 1, "USER_NOT_FOUND"),
        (1, 99, "USER_NOT_FOUND"),
    ):
        with pytest.raises(HeliographError) as refused:
            await world.follow(follower, followee)
        assert refused.value.reason == reason
