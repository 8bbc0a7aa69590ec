"""S2: no story is lost before its end, whatever happens to Redis; and a deleted one never comes back."""

import random
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis

from devstack.stack import Stack
from story_svc.cache import Cache
from story_svc.domain import Reel, UserId
from story_svc.store import Store
from tests.integration.story_svc.sightings import Sightings, look_everywhere
from tests.integration.story_svc.world import World, moment

AUTHORS = range(1, 13)
VIEWER = 100


async def _lose(world: World, lose: Callable[[Redis], Awaitable[object]], *, rounds: int = 1) -> Sightings:
    """Publish and delete stories, lose something of Redis, and look at all of them on every path; `rounds` times."""
    world.graph.follow(VIEWER, *AUTHORS)
    live = [await world.publish(author) for author in AUTHORS]
    deleted = [await world.publish(author) for author in AUTHORS]
    await world.tray(VIEWER)
    for story in deleted:
        await world.delete(story.author_id, story.story_id)
    sightings = Sightings()
    async with Redis.from_url(world.redis_url) as client:
        for _ in range(rounds):
            await lose(client)
            for story in (*live, *deleted):
                await look_everywhere(
                    world,
                    sightings,
                    story.story_id,
                    author=story.author_id,
                    viewer=VIEWER,
                    live=story in live,
                    end=moment(story.expire_time),
                )
    return sightings


async def test_S2_a_flushed_redis_loses_nothing_and_brings_nothing_back(world: World, stack: Stack):
    async def flush(_: Redis) -> None:
        async with Redis.from_url(stack.redis.admin_url()) as admin:
            await admin.flushall()

    sightings = await _lose(world, flush, rounds=2)
    print(f"S2 FLUSHALL: {sightings.reads} reads, {sightings.early} early, {sightings.late} late, 2 flushes")
    assert (sightings.early, sightings.late) == (0, 0)


async def test_S2_eviction_of_any_key_or_field_loses_nothing(world: World):
    random.seed(1)

    async def evict(client: Redis) -> None:
        async for key in client.scan_iter("story:*"):
            kind = await client.type(key)
            if kind == b"hash" and random.random() < 0.6:
                fields = await client.hkeys(key)
                await client.hdel(key, random.choice(fields))
            elif random.random() < 0.5:
                await client.delete(key)

    sightings = await _lose(world, evict, rounds=4)
    print(f"S2 eviction: {sightings.reads} reads, {sightings.early} early, {sightings.late} late, 4 rounds")
    assert (sightings.early, sightings.late) == (0, 0)


async def test_S2_a_redis_that_is_full_evicts_and_loses_nothing(world: World, stack: Stack):
    async with Redis.from_url(stack.redis.admin_url()) as admin:
        before = int((await admin.info("stats"))["evicted_keys"])

        async def fill_up(_: Redis) -> None:
            # What it holds now is too much by a little: each write makes it evict.
            used = int((await admin.info("memory"))["used_memory"])
            await admin.config_set("maxmemory", used - 50_000)

        await admin.config_set("maxmemory-policy", "allkeys-random")
        try:
            sightings = await _lose(world, fill_up, rounds=3)
        finally:
            await admin.config_set("maxmemory", 0)
            await admin.config_set("maxmemory-policy", "noeviction")
        evicted = int((await admin.info("stats"))["evicted_keys"]) - before
    print(f"S2 maxmemory: {sightings.reads} reads, {sightings.early} early, {sightings.late} late, {evicted} evicted")
    assert evicted > 0
    assert (sightings.early, sightings.late) == (0, 0)


async def test_S2_lost_functions_are_installed_again(world: World, stack: Stack):
    world.graph.follow(VIEWER, 1)
    story = await world.publish(1)
    async with Redis.from_url(stack.redis.admin_url()) as admin:
        await admin.function_flush()
    assert await world.tray_ids(VIEWER) == [story.story_id]


async def test_S2_without_redis_every_path_answers_from_postgres(world: World, stack: Stack):
    world.graph.follow(VIEWER, *AUTHORS)
    published = [await world.publish(author) for author in AUTHORS]
    sightings = Sightings()
    await stack.hold("redis")
    try:
        for story in published[:2]:
            await look_everywhere(
                world,
                sightings,
                story.story_id,
                author=story.author_id,
                viewer=VIEWER,
                live=True,
                end=moment(story.expire_time),
            )
        during = await world.publish(1)
        await world.delete(2, published[1].story_id)
        assert during.story_id in await world.tray_ids(VIEWER)
    finally:
        stack.release("redis")
        await stack.wait_ready("redis")
    # What changed while Redis was away is right after it came back, before any event was handled.
    tray = await world.tray_ids(VIEWER)
    assert during.story_id in tray
    assert published[1].story_id not in tray
    assert (sightings.early, sightings.late) == (0, 0)


class TrustsRedis(Store):
    """The sabotage: nothing that Redis does not know is looked up."""

    async def live_entries(self, authors) -> dict[UserId, Reel]:
        return dict.fromkeys(authors, ())


async def test_S2_sabotage_redis_as_the_truth_is_caught(world: World):
    async def flush(client: Redis) -> None:
        for key in [key async for key in client.scan_iter("story:*")]:
            await client.delete(key)

    world.wire_up(store=TrustsRedis(world.parts.store._postgres))
    sightings = await _lose(world, flush)
    assert sightings.early > 0


async def test_S2_a_reel_loaded_before_a_deletion_is_not_kept_after_it(world: World):
    """The race that leases are for: load, delete, fill."""
    story = await world.publish(1)
    cache: Cache = world.parts.cache
    await cache.reels.forget([UserId(1)])
    known = await cache.reels.get([UserId(1)])
    assert known.missing == [1]
    loaded = await world.parts.store.live_entries([UserId(1)])
    await world.delete(1, story.story_id)
    await cache.reels.fill(known.lease, loaded)
    assert await world.tray_ids(1) == []


async def test_S2_a_reel_loaded_before_a_publish_does_not_hide_it(world: World):
    cache: Cache = world.parts.cache
    known = await cache.reels.get([UserId(1)])
    loaded = await world.parts.store.live_entries([UserId(1)])
    story = await world.publish(1)
    await cache.reels.fill(known.lease, loaded)
    assert await world.tray_ids(1) == [story.story_id]


async def test_S2_after_a_failover_the_hashes_count_as_empty(world: World):
    """A server with another history: what it holds may lack acknowledged changes."""
    world.graph.follow(VIEWER, 1)
    story = await world.publish(1)
    await world.tray(VIEWER)
    async with Redis.from_url(world.redis_url) as client:
        key = "story:live:{1}"
        await client.hset(key, "epoch", "0" * 40)
        await client.hset(key, "1", "V")  # a reel that lacks the story
    assert await world.tray_ids(VIEWER) == [story.story_id]
