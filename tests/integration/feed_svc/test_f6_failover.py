"""F6: what fan-out has noted as done outlives a failover of Redis."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from devstack.folder import temporary_folder
from devstack.stack import Stack
from mesh.redis import TROUBLE
from mesh.redis_bulk import Bulk
from tests.fixtures.nats import NatsUrlOf
from tests.fixtures.postgres import NewDatabase
from tests.fixtures.stack import eventually
from tests.integration.feed_svc.world import World, open_world

READER, AUTHOR = 1, 2


@pytest.fixture
async def watched(new_database: NewDatabase, nats_url_of: NatsUrlOf) -> AsyncIterator[tuple[World, Stack]]:
    """A feed_svc whose Redis has a replica; the reader has a timeline in both."""
    with temporary_folder("failover") as folder:
        async with (
            Stack(folder / "state", services=[], servers=["redis"], redis_failover=True) as stack,
            open_world(
                dsn=await new_database("mesh.outbox", "feed_svc"),
                redis_url=stack.redis.watched_url("feed_svc"),
                nats_url=nats_url_of("feed_svc"),
            ) as world,
        ):
            world.start_workers()
            await world.people(READER, AUTHOR)
            await world.follow(READER, AUTHOR)
            await world.warm(READER)
            async with (
                Redis.from_url(stack.redis.replica_admin_url()) as replica,
                Redis.from_url(stack.redis.sentinel_admin_url()) as sentinel,
            ):
                await eventually(lambda: replica.exists(f"home:{{{READER}}}"), within=20)
                # It asks the primary for replicas every ten seconds, else.
                await sentinel.execute_command("SENTINEL", "DEBUG", "INFO-PERIOD", "100")
                await eventually(lambda: _knows_replica(sentinel), within=20)
            yield world, stack


async def _knows_replica(sentinel: Redis) -> bool:
    return bool((await sentinel.sentinel_master("heliograph"))["num-slaves"] == 1)


async def _push_that_the_replica_misses(world: World, stack: Stack) -> int:
    """The replica is cut off, the primary takes a push and dies for good, the replica takes over."""
    async with Redis.from_url(stack.redis.replica_admin_url()) as replica:
        await replica.config_set("masterauth", "not the password")
        await replica.execute_command("CLIENT", "KILL", "TYPE", "master")
        post = await world.post(AUTHOR)
        async with Redis.from_url(stack.redis.admin_url()) as primary:
            await eventually(lambda: _holds(primary, post))
        await stack.hold("redis")
        await eventually(lambda: _leads(replica), within=20)
    await eventually(lambda: _answers(world), within=20)
    await world.caught_up()
    return post


async def _holds(server: Redis, post: int) -> bool:
    return str(post).encode() in await server.lrange(f"home:{{{READER}}}", 0, -1)


async def _leads(server: Redis) -> bool:
    try:
        return bool((await server.info("replication"))["role"] == "master")
    except RedisConnectionError:  # it closes all connections when it begins to lead
        return False


async def _answers(world: World) -> bool:
    try:
        return await world.redis.exists(f"home:{{{READER}}}") == 1
    except TROUBLE:
        return False


async def test_F6_a_push_that_died_with_the_primary_is_made_again(watched: tuple[World, Stack]) -> None:
    world, stack = watched
    post = await _push_that_the_replica_misses(world, stack)
    assert await world.feed(READER) == await world.oracle(READER) == [post]


async def test_F6_a_push_that_no_replica_is_waited_for_is_lost(
    watched: tuple[World, Stack], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sabotage: the same check finds the post missing."""
    world, stack = watched
    monkeypatch.setattr(Bulk, "replicated", Bulk.integers)
    post = await _push_that_the_replica_misses(world, stack)
    assert await world.oracle(READER) == [post]
    assert await world.feed(READER) == []


async def test_F6_a_replica_that_is_too_slow_does_not_stop_fan_out(
    watched: tuple[World, Stack], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, stack = watched
    monkeypatch.setattr("mesh.redis_bulk.REPLICA_MS", 200)
    stack.pause("redis.replica")
    try:
        posts = [await world.post(AUTHOR) for _ in range(5)]
        await world.caught_up()
    finally:
        stack.resume("redis.replica")
    assert await world.feed(READER) == posts[::-1]
