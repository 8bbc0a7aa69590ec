"""F4: the first page is right at once after the loss of Redis, and there is a page when nothing answers."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from devstack.faults import TcpProxy
from feed_svc.cache.marks import TimelineMark
from feed_svc.domain import COMPLETE
from mesh.errors import Unavailable
from mesh.flight import SingleFlight
from tests.fixtures.nats import NatsUrlOf
from tests.fixtures.postgres import NewDatabase
from tests.fixtures.redis import RedisUrlOf
from tests.fixtures.stack import eventually
from tests.integration.feed_svc.world import World, open_world

READER, AUTHOR, OTHER = 1, 2, 3
HERD = 20


async def prepared(world: World, *, posts: int = 5) -> list[int]:
    """The reader follows two, who have posted; has a timeline. Returns the feed."""
    await world.people(READER, AUTHOR, OTHER)
    for author in (AUTHOR, OTHER):
        await world.follow(READER, author)
    made = [await world.post(author) for author in (AUTHOR, OTHER) for _ in range(posts)]
    await world.caught_up()
    await world.warm(READER)
    return made[::-1]


async def test_F4_a_flushed_redis_gives_the_same_first_page_at_once_and_a_new_timeline(world: World) -> None:
    expected = await prepared(world)
    await world.flush_redis()
    page = await world.page(READER, size=4)
    assert [item.post.post_id for item in page.items] == expected[:4]
    assert not page.is_stale
    await eventually(lambda: _has_timeline(world))
    assert await world.feed(READER) == expected


async def _has_timeline(world: World) -> bool:
    return await world.parts.timelines.mark_of(READER) is not None  # type: ignore[arg-type]


async def test_F4_a_push_after_the_flush_makes_no_timeline_of_one_post(world: World) -> None:
    expected = await prepared(world)
    await world.flush_redis()
    newest = await world.post(AUTHOR)
    await world.caught_up()
    assert await world.feed(READER) == [newest, *expected]


async def test_F4_sabotaged_by_a_push_that_makes_a_timeline_the_same_check_fails(world: World, monkeypatch) -> None:
    expected = await prepared(world)
    timelines = type(world.parts.timelines)
    push = timelines.push_post

    async def as_if_it_were_one(self, post_id, users):
        for user in users.tolist():
            generation = await world.parts.store.generation(user)
            mark = TimelineMark(COMPLETE, generation, 0, 0, frozenset())
            await world.redis.rpush(f"home:{{{user}}}", str(mark))
        return await push(self, post_id, users)

    monkeypatch.setattr(timelines, "push_post", as_if_it_were_one)
    await world.flush_redis()
    newest = await world.post(AUTHOR)
    await world.caught_up()
    assert await world.feed(READER) != [newest, *expected]


async def pulls_of_a_herd(world: World, monkeypatch) -> int:
    """Readings of one cold feed, all under way before the first is answered; how often the tables were asked."""
    await prepared(world)
    monkeypatch.setattr(type(world.parts.builders), "ask", lambda self, viewer: None)
    await world.flush_redis()
    arrived = pulls = 0
    all_are_here = asyncio.Event()
    store = type(world.parts.store)
    generation, pull = store.generation, store.pull_feed

    async def arriving(self, viewer):
        nonlocal arrived
        found = await generation(self, viewer)
        arrived += 1
        if arrived == HERD:
            all_are_here.set()
        return found

    async def counted(self, viewer, **options):
        nonlocal pulls
        pulls += 1
        await all_are_here.wait()
        return await pull(self, viewer, **options)

    monkeypatch.setattr(store, "generation", arriving)
    monkeypatch.setattr(store, "pull_feed", counted)
    pages = await asyncio.gather(*(world.page(READER, size=4) for _ in range(HERD)))
    assert len({tuple(item.post.post_id for item in page.items) for page in pages}) == 1
    return pulls


async def test_F4_a_herd_of_cold_readers_asks_the_tables_once(world: World, monkeypatch) -> None:
    assert await pulls_of_a_herd(world, monkeypatch) == 1


async def test_F4_sabotaged_without_single_flight_the_same_check_fails(world: World, monkeypatch) -> None:
    monkeypatch.setattr(SingleFlight, "share", lambda self, key, make: make())
    assert await pulls_of_a_herd(world, monkeypatch) > 1


@pytest.fixture
async def frail(
    new_database: NewDatabase, redis_url_of: RedisUrlOf, nats_url_of: NatsUrlOf
) -> AsyncIterator[tuple[World, TcpProxy, TcpProxy]]:
    """A feed_svc that reaches Redis and Postgres by way of a proxy each."""
    dsn, redis_url = await new_database("mesh.outbox", "feed_svc"), redis_url_of("feed_svc")
    there, here = urlsplit(dsn), urlsplit(redis_url)
    async with (
        TcpProxy(f"{here.hostname}:{here.port}") as to_redis,
        TcpProxy(f"{there.hostname}:{there.port}") as to_postgres,
        open_world(
            dsn=dsn.replace(f"{there.hostname}:{there.port}", to_postgres.address),
            redis_url=redis_url.replace(f"{here.hostname}:{here.port}", to_redis.address),
            nats_url=nats_url_of("feed_svc"),
            timeline_length=20,
        ) as world,
    ):
        world.start_workers()
        yield world, to_redis, to_postgres
        for proxy in (to_redis, to_postgres):
            proxy.heal()


async def test_F4_without_redis_the_feed_is_right_and_goes_on(frail) -> None:
    world, to_redis, _ = frail
    expected = await prepared(world)
    to_redis.refuse()
    for _ in range(8):  # more than it takes to open the breaker
        page = await world.page(READER, size=4)
        assert [item.post.post_id for item in page.items] == expected[:4]
        assert not page.is_stale
    assert await world.feed(READER, size=3) == expected
    to_redis.heal()


async def test_F4_with_redis_and_postgres_away_the_last_page_is_shown_as_stale(frail) -> None:
    world, to_redis, to_postgres = frail
    expected = await prepared(world)
    await world.page(READER)
    await world.delete(AUTHOR, expected[-1])
    await world.unfollow(READER, OTHER)
    left = [post for post in expected[5:] if post != expected[-1]]
    await eventually(lambda: [view.post_id for view in world.parts.pages.get(READER, page_size=20).views] == left)
    to_redis.refuse()
    to_postgres.refuse()
    page = await world.page(READER)
    assert page.is_stale
    assert [item.post.post_id for item in page.items] == left
    with pytest.raises(Unavailable):  # whoever was never here: told so, not shown an empty feed
        await world.page(AUTHOR)
    to_redis.heal()
    to_postgres.heal()
    await eventually(lambda: _is_fresh(world, left), within=20)


async def _is_fresh(world: World, expected: list[int]) -> bool:
    try:
        page = await world.page(READER)
    except Unavailable:
        return False
    return not page.is_stale and [item.post.post_id for item in page.items] == expected


async def test_F4_a_stale_page_is_not_shown_after_ten_minutes(frail, monkeypatch) -> None:
    world, to_redis, to_postgres = frail
    await prepared(world)
    await world.page(READER)
    to_redis.refuse()
    to_postgres.refuse()
    now = world.parts.clock.now_ms()
    monkeypatch.setattr(type(world.parts.clock), "now_ms", lambda self: now + 600_001)
    with pytest.raises(Unavailable):
        await world.page(READER)


async def test_F4_with_postgres_away_the_timeline_is_shown_as_stale(frail) -> None:
    world, _, to_postgres = frail
    expected = await prepared(world)
    await world.page(READER)
    newer = await world.post(AUTHOR)
    await world.caught_up()
    await world.page(READER, size=1)
    to_postgres.refuse()
    page = await world.page(READER)
    assert page.is_stale
    assert [item.post.post_id for item in page.items] == [newer, *expected]
