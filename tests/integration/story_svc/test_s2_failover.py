"""S2: the primary of Redis dies for good; reads go on at once, writes within seconds, nothing is lost or comes back."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from devstack.folder import temporary_folder
from devstack.stack import Stack
from mesh.config import S3Config
from mesh.migrations import migrate
from tests.fixtures.stack import eventually
from tests.integration.story_svc.sightings import Sightings, look_everywhere
from tests.integration.story_svc.world import World, moment, open_world

AUTHORS = range(1, 9)
VIEWER = 100


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[tuple[World, Stack]]:
    with temporary_folder("failover") as folder:
        async with Stack(
            folder / "state", services=[], servers=["postgres", "nats", "redis"], redis_failover=True
        ) as stack:
            dsn = stack.postgres.dsn("story_svc")
            await migrate(dsn, ["mesh.outbox", "story_svc"])
            async with open_world(
                dsn=dsn,
                redis_url=stack.redis.watched_url("story_svc"),
                nats_url=stack.nats.url("story_svc"),
                s3=S3Config("http://127.0.0.1:1", "unused", "unused", "us-east-1", None),
                file=tmp_path,
            ) as world:
                await eventually(lambda: _knows_replica(stack), within=30)
                yield world, stack


async def _knows_replica(stack: Stack) -> bool:
    async with (
        Redis.from_url(stack.redis.sentinel_admin_url()) as sentinel,
        Redis.from_url(stack.redis.replica_admin_url()) as replica,
    ):
        known = await sentinel.sentinel_master("heliograph")
        return known["num-slaves"] == 1 and (await replica.info("replication"))["master_link_status"] == "up"


async def test_S2_failover_loses_nothing_and_brings_nothing_back(watched: tuple[World, Stack]):
    world, stack = watched
    world.graph.follow(VIEWER, *AUTHORS)
    live = [await world.publish(author) for author in AUTHORS]
    deleted = [await world.publish(author) for author in AUTHORS]
    await world.tray(VIEWER)
    for story in deleted:
        await world.delete(story.author_id, story.story_id)
    sightings = Sightings()
    longest = 0.0

    async def look() -> None:
        nonlocal longest
        for story in (*live, *deleted):
            began = time.monotonic()
            await look_everywhere(
                world,
                sightings,
                story.story_id,
                author=story.author_id,
                viewer=VIEWER,
                live=story in live,
                end=moment(story.expire_time),
            )
            longest = max(longest, time.monotonic() - began)

    await look()
    await stack.hold("redis")
    down = time.monotonic()
    await look()
    live.append(await world.publish(1))
    deleted.append(live.pop(0))
    await world.delete(deleted[-1].author_id, deleted[-1].story_id)
    await look()

    async def writes_work() -> bool:
        try:
            await world.parts.cache.server.ping()
            await world.parts.cache.reels.forget([])
            return await world.parts.cache.server.primary.set("probe", 1) is True
        except Exception:
            return False

    await eventually(writes_work, within=20, every=0.1)
    failover_seconds = time.monotonic() - down
    await look()
    # The old primary comes back and has to follow the new one.
    stack.release("redis")
    await stack.wait_ready("redis")
    for _ in range(4):
        await look()
        await asyncio.sleep(0.5)
    print(
        f"S2 failover: {sightings.reads} reads, {sightings.early} early, {sightings.late} late; writes again after "
        f"{failover_seconds:.1f} s, slowest look at one story on nine paths {longest * 1000:.0f} ms"
    )
    assert (sightings.early, sightings.late) == (0, 0)


async def test_S2_reads_do_not_wait_for_a_primary_that_hangs(watched: tuple[World, Stack]):
    world, stack = watched
    world.graph.follow(VIEWER, *AUTHORS)
    live = {(await world.publish(author)).story_id for author in AUTHORS}
    await world.tray(VIEWER)
    stack.pause("redis")
    try:
        async with asyncio.timeout(0.9):  # a client of Redis gives up after a second
            shown = await world.tray_ids(VIEWER)
    finally:
        stack.resume("redis")
    assert set(shown) == live
