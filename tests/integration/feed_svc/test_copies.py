"""What is kept for speed: the first page of who has no timeline, records of posts, reads of a replica."""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from devstack.faults import TcpProxy
from feed_svc.domain import FIRST_POSITION
from feed_svc.usecases.pulled_authors import PulledAuthors
from tests.fixtures.nats import NatsUrlOf
from tests.fixtures.postgres import NewDatabase
from tests.fixtures.redis import RedisUrlOf
from tests.integration.feed_svc.world import ON_ONE_SERVER, World, open_world


@pytest.fixture
async def cold(world: World, monkeypatch) -> World:
    """1 follows 2, who has posted five times; no timeline is ever built."""
    monkeypatch.setattr(type(world.parts.builders), "ask", lambda self, viewer: None)
    await world.people(*range(1, 40))
    await world.follow(1, 2)
    for _ in range(5):
        await world.post(2)
    await world.caught_up()
    await world.flush_redis()
    return world


def counted(monkeypatch, world: World, name: str) -> list[int]:
    """Who asked a method of the store, from now on."""
    asked: list[int] = []
    store = type(world.parts.store)
    real = getattr(store, name)

    async def method(self, viewer, *args, **options):
        asked.append(viewer)
        return await real(self, viewer, *args, **options)

    monkeypatch.setattr(store, name, method)
    return asked


@ON_ONE_SERVER
async def test_a_cold_first_page_is_pulled_once_in_half_a_minute(cold: World, monkeypatch) -> None:
    pulls = counted(monkeypatch, cold, "pull_feed")
    pages = [[item.post.post_id for item in (await cold.page(1, size=3)).items] for _ in range(3)]
    assert pages[0] == pages[1] == pages[2] == (await cold.oracle(1))[:3]
    assert pulls == [1]


@ON_ONE_SERVER
async def test_a_kept_page_lives_for_half_a_minute_more_or_less(cold: World) -> None:
    lives = []
    for person in range(3, 33):
        await cold.follow(person, 2)
        await cold.page(person, size=2)
        lives.append(await cold.redis.pttl(f"home:{{{person}}}") / 1000)
    assert 23 < min(lives) <= max(lives) <= 36
    assert max(lives) - min(lives) > 2  # they don't all end in the same moment


@ON_ONE_SERVER
async def test_a_kept_page_is_not_shown_once_something_newer_was_pushed(cold: World) -> None:
    await cold.page(1, size=3)
    await cold.parts.store.touch_timeline(1)  # type: ignore[arg-type]  # so that fan-out reaches 1
    newer = await cold.post(2)
    await cold.caught_up()
    assert (await cold.page(1, size=3)).items[0].post.post_id == newer


@ON_ONE_SERVER
async def test_a_kept_page_shows_counts_and_rules_of_this_moment(cold: World) -> None:
    newest, second = (await cold.oracle(1))[:2]
    await cold.page(1, size=3)
    await cold.delete(2, newest)
    assert (await cold.page(1, size=3)).items[0].post.post_id == second
    await cold.block(2, 1)
    assert await cold.feed(1) == []


async def test_posts_are_read_from_this_process_then_redis_then_postgres(cold: World, monkeypatch) -> None:
    records, store = cold.parts.records, type(cold.parts.store)

    def forget() -> None:
        for kept in (records._posts, records._authors):
            kept._values.clear()

    forget()
    expected = [item.SerializeToString() for item in (await cold.page(1)).items]  # from Postgres
    assert len(expected) == 5

    async def away(*args, **options):
        raise AssertionError("the tables were asked")

    monkeypatch.setattr(store, "get_posts", away)
    monkeypatch.setattr(store, "get_profiles", away)
    forget()
    assert [item.SerializeToString() for item in (await cold.page(1)).items] == expected  # from Redis
    await cold.flush_redis()
    assert [item.SerializeToString() for item in (await cold.page(1)).items] == expected  # from this process


@pytest.fixture
async def replicated(
    new_database: NewDatabase, redis_url_of: RedisUrlOf, nats_url_of: NatsUrlOf
) -> AsyncIterator[tuple[World, TcpProxy]]:
    """A feed_svc with an address for reads that may lag; behind it lies the same database."""
    dsn = await new_database("mesh.outbox", "feed_svc")
    there = urlsplit(dsn)
    async with (
        TcpProxy(f"{there.hostname}:{there.port}") as replica,
        open_world(
            dsn=dsn,
            replica_dsn=dsn.replace(f"{there.hostname}:{there.port}", replica.address),
            redis_url=redis_url_of("feed_svc"),
            nats_url=nats_url_of("feed_svc"),
            timeline_length=20,
        ) as world,
    ):
        world.start_workers()
        yield world, replica


async def test_own_writes_are_never_read_from_a_replica_that_lags(replicated) -> None:
    world, replica = replicated
    await world.people(1, 2)
    await world.post(2)
    await world.warm(1)
    replica.black_hole()  # as if it lagged for ever
    await world.follow(1, 2)
    mine = await world.post(1)
    assert await world.feed(1) == await world.oracle(1)
    assert (await world.oracle(1))[0] == mine
    replica.heal()


async def test_pulled_posts_and_recounts_are_read_from_the_replica(replicated, monkeypatch) -> None:
    world, _ = replicated
    await world.threshold(0)
    await world.people(1, 2)
    await world.follow(1, 2)
    await world.warm(1)
    pulled = await world.post(2)
    await world.parts.pulled.refresh()
    read, reads = world.parts.store._postgres.read, 0

    def counting():
        nonlocal reads
        reads += 1
        return read()

    monkeypatch.setattr(world.parts.store._postgres, "read", counting)
    world.parts.pulled._recent.clear()
    assert await world.feed(1) == [pulled]
    assert reads == 1
    assert await world.parts.store.wrong_user_counts(limit=100) == []


@ON_ONE_SERVER
async def test_a_pulled_author_whom_one_has_left_is_looked_up_no_more(world: World) -> None:
    await world.threshold(0)
    await world.people(1, 2)
    await world.follow(1, 2)
    await world.post(2)
    mine = await world.post(1)
    await world.parts.pulled.refresh()
    await world.warm(1)
    assert (await home_of(world, 1)).pulled == {2}
    await world.kill_workers()
    await world.unfollow(1, 2)
    assert await world.feed(1) == [mine]
    assert (await home_of(world, 1)).pulled == set()


@ON_ONE_SERVER
async def test_a_process_that_has_just_started_knows_since_when_authors_are_pulled(world: World) -> None:
    await world.threshold(0)
    await world.people(1, 2, 3)
    await world.post(1)
    await world.post(2)
    async with world.parts.store.transaction() as connection:
        await connection.execute(
            "UPDATE pull_authors SET create_time = now() - interval '2 minutes' WHERE author_id = 1"
        )
    await world.warm(3)
    started = PulledAuthors(world.parts.store, world.parts.clock)
    await started.refresh()
    # What a timeline noted a minute after somebody became pulled is right, and costs no further look.
    assert started.newer_than((await home_of(world, 3)).pulled_ms) == {2}


async def home_of(world: World, viewer: int):
    return await world.parts.timelines.read_home(viewer, before=FIRST_POSITION, limit=10)  # type: ignore[arg-type]
