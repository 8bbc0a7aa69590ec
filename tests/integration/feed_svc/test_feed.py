"""The home feed, from the post to the follower, on real servers."""

import asyncio
import uuid

import pytest

from heliograph.feed.v1 import post_service_pb2
from mesh.errors import HeliographError
from tests.fixtures.stack import eventually
from tests.integration.feed_svc.world import ON_ONE_SERVER, World


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


@ON_ONE_SERVER
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


@ON_ONE_SERVER
async def test_deleting_removes_the_photo(world: World) -> None:
    await world.people(1)
    post = await world.post(1)
    await world.delete(1, post)
    upload = next(iter(world.media.references))
    await eventually(lambda: upload in world.media.deleted)


@ON_ONE_SERVER
async def test_a_page_of_no_said_size_has_twenty_posts(world: World) -> None:
    await world.people(1)
    posts = [await world.post(1) for _ in range(22)]
    page = await world.page(1, size=0)
    assert [item.post.post_id for item in page.items] == posts[:1:-1]
    assert len((await world.page(1, size=50)).items) == 22
    assert len((await world.page(1, size=1)).items) == 1


@ON_ONE_SERVER
@pytest.mark.parametrize("size", [-1, 51])
async def test_a_page_size_outside_its_limits_is_refused(world: World, size: int) -> None:
    await world.people(1)
    with pytest.raises(HeliographError) as refused:
        await world.page(1, size=size)
    assert refused.value.reason == "PAGE_SIZE_INVALID"
    assert refused.value.metadata == {"limit": "50"}


async def test_a_cursor_of_somebody_else_or_of_another_list_or_altered_is_refused(world: World) -> None:
    await world.people(1, 2)
    for _ in range(3):
        await world.post(1)
    token = (await world.page(1, size=1)).next_page_token
    request = post_service_pb2.ListPostsByAuthorRequest(author_id=1, page_size=1)
    of_author = (await world.call(world.faces.posts.ListPostsByAuthor, request, by=1)).next_page_token
    altered = token[:-2] + ("xx" if token[-2:] != "xx" else "yy")
    for viewer, wrong in ((2, token), (1, altered), (1, token[:-4]), (1, "nonsense"), (1, "ü"), (1, of_author)):
        with pytest.raises(HeliographError) as refused:
            await world.page(viewer, token=wrong)
        assert refused.value.reason == "PAGE_TOKEN_INVALID"


async def test_F2_a_cursor_of_yesterday_goes_on_where_it_stood(world: World) -> None:
    await world.people(1, 2)
    await world.follow(1, 2)
    posts = [await world.post(2) for _ in range(6)]
    await world.warm(1)
    page = await world.page(1, size=2)
    await world.delete(2, page.items[-1].post.post_id)  # the very post at which the cursor stands
    for _ in range(30):
        await world.post(2)
    await world.caught_up()
    await world.flush_redis()
    await world.warm(1)
    rest = await world.page(1, size=50, token=page.next_page_token)
    assert [item.post.post_id for item in rest.items] == posts[3::-1]
    assert [len(token) > 0 for token in rest.cursors] == [True] * 4
    after_first = await world.page(1, size=50, token=rest.cursors[0])
    assert [item.post.post_id for item in after_first.items] == posts[2::-1]


async def test_an_author_who_is_gone_takes_nobody_elses_posts_along(world: World) -> None:
    await world.people(1, 2, 3)
    for author in (2, 3):
        await world.follow(1, author)
    kept, gone = await world.post(2), await world.post(3)
    await world.caught_up()
    await world.warm(1)
    await world.flush_redis()
    world.parts.records.forget_author(3)  # type: ignore[arg-type]
    async with world.parts.store.transaction() as connection:
        await connection.execute("DELETE FROM users WHERE user_id = 3")
    assert await world.feed(1) == [kept]
    assert gone not in await world.feed(1)


@ON_ONE_SERVER
async def test_a_blocked_author_and_their_posts_look_absent(world: World) -> None:
    await world.people(1, 2)
    await world.follow(1, 2)
    post = await world.post(2)
    await world.block(2, 1)
    assert await world.feed(1) == []
    like = post_service_pb2.LikePostRequest(post_id=post)
    of_author = post_service_pb2.ListPostsByAuthorRequest(author_id=2)
    for method, request, reason in (
        (world.faces.posts.LikePost, like, "POST_NOT_FOUND"),
        (world.faces.posts.ListPostsByAuthor, of_author, "USER_NOT_FOUND"),
    ):
        with pytest.raises(HeliographError) as refused:
            await world.call(method, request, by=1)
        assert refused.value.reason == reason
    await world.unblock(2, 1)
    assert await world.feed(1) == []  # follows don't come back
    await world.follow(1, 2)
    assert await world.feed(1) == [post]


async def test_a_page_that_rules_emptied_is_filled_from_what_lies_below(world: World, monkeypatch) -> None:
    async def lost(*args, **options):
        raise ConnectionError

    await world.people(1, 2, 3)
    for author in (2, 3):
        await world.follow(1, author)
    below = [await world.post(2) for _ in range(3)]
    for _ in range(9):
        await world.post(3)
    await world.caught_up()
    await world.warm(1)
    await world.kill_workers()
    monkeypatch.setattr(type(world.parts.timelines), "remove_posts", lost)
    await world.unfollow(1, 3)
    page = await world.page(1, size=3)
    assert [item.post.post_id for item in page.items] == below[::-1]
    short = await world.page(1, size=1)  # nine hidden posts are more than five refills of two reach: a token goes on
    assert short.next_page_token
    assert await world.feed(1, size=1) == below[::-1]


@ON_ONE_SERVER
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


@ON_ONE_SERVER
async def test_a_request_repeated_creates_one_post_and_another_content_is_refused(world: World) -> None:
    await world.people(1)
    upload = str(uuid.uuid4())

    async def create(caption: str):
        request = post_service_pb2.CreatePostRequest(upload_id=upload, caption=caption, request_id="one")
        return (await world.call(world.faces.posts.CreatePost, request, by=1)).item.post.post_id

    first, again = await asyncio.gather(create("a"), create("a"))
    assert first == again == await create("a")
    assert await world.feed(1) == [first]
    with pytest.raises(HeliographError) as refused:
        await create("b")
    assert refused.value.reason == "IDEMPOTENCY_KEY_REUSED"


@ON_ONE_SERVER
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
