"""Stories: publishing, the tray by number of followees, and how late stories leave.

For publishing and catching up the service runs in this process on real Postgres, Redis and NATS; feed_svc and media_svc
are answered from memory, so the figures are of story_svc alone, without the hop. Trays (`benchmarks/story_trays.py`)
are read from a whole system over gRPC, and stories end by its workers.
"""

import asyncio
import gc
import time
from bisect import bisect_right
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from nats.js.api import ConsumerConfig, DeliverPolicy

from benchmarks import story_trays
from benchmarks.bench import Bench
from benchmarks.load import percentile
from benchmarks.story_rows import seed
from devstack.stack import Stack
from mesh.config import S3Config
from mesh.migrations import migrate
from story_svc import events
from story_svc.domain import LIFETIME, StoryRecord
from story_svc.usecases.sweep_stories import BATCH
from tests.integration.story_svc.world import World, open_world

VIEWER = 900_000
ENDING_AUTHORS = range(700_000, 701_000)


async def run(bench: Bench) -> None:
    """Measure each in turn: first the service in this process, then its workers as processes of their own."""
    async with bench.stack(services=[], servers=["postgres", "nats", "redis"]) as stack:
        await migrate(stack.postgres.dsn("story_svc"), ["mesh.outbox", "story_svc"])
        async with _world(stack) as world:
            await _publish(bench, world)
            await _round_trips(bench, world)
            await _catch_up(bench, world)
    async with bench.stack(services=["feed_svc", "story_svc"]) as stack:
        await story_trays.measure(bench, stack)
        await _people(stack, ENDING_AUTHORS)
        async with _world(stack) as world:
            await _ends(bench, world)


@asynccontextmanager
async def _world(stack: Stack) -> AsyncIterator[World]:
    async with open_world(
        dsn=stack.postgres.dsn("story_svc"),
        redis_url=stack.redis.url("story_svc"),
        nats_url=stack.nats.url("story_svc"),
        s3=S3Config("http://127.0.0.1:9", "access", "secret", "us-east-1", None),
        file=Path(),
    ) as world:
        await world.let_time_run()
        # As a started process does (mesh/lifecycle.py), so that collections hold the loop no longer than there.
        gc.collect()
        gc.freeze()
        yield world


async def _publish(bench: Bench, world: World) -> None:
    count = bench.size(2_000, 300)
    bench.say(f"{count} stories published by as many people, 16 at a time")
    authors = iter(range(500_000, 500_000 + count))
    began = time.perf_counter()

    async def publisher() -> None:
        for author in authors:
            await world.publish(author)

    await asyncio.gather(*(publisher() for _ in range(16)))
    bench.figure("publish_per_s", count / (time.perf_counter() - began), "one process, 16 in flight")


async def _round_trips(bench: Bench, world: World) -> None:
    """Count how often a warm tray of 500 followees waits for Redis."""
    world.graph.follow(VIEWER, *range(500_000, 500_500))
    await world.tray(VIEWER)
    cache, count = world.parts.cache, 0
    real = cache.server.ask_primary

    async def counted(call):  # type: ignore[no-untyped-def]
        nonlocal count
        count += 1
        return await real(call)

    cache.server.ask_primary = counted  # type: ignore[method-assign]
    await world.tray(VIEWER)
    cache.server.ask_primary = real  # type: ignore[method-assign]
    bench.figure("tray_redis_round_trips", count, "warm, 500 followees")


async def _people(stack: Stack, user_ids: range) -> None:
    """Let feed_svc know these people, whom nobody follows."""
    async with await psycopg.AsyncConnection.connect(stack.postgres.dsn("feed_svc"), autocommit=True) as connection:
        await connection.execute(
            "INSERT INTO users (user_id, username, display_name) SELECT id, 'u' || id, ''"
            " FROM generate_series(%s::bigint, %s::bigint) AS id",
            (user_ids[0], user_ids[-1]),
        )


async def _ends(bench: Bench, world: World) -> None:
    """Stories that end within one second: when StoryExpired stands in the stream, and whether any read saw one late."""
    count = len(ENDING_AUTHORS)
    first_end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=12)
    ends = [first_end + timedelta(seconds=number / count) for number in range(count)]
    bench.say(f"{count} stories of as many people end within one second")
    records = await seed(
        world.dsn, [(author, end - LIFETIME) for author, end in zip(ENDING_AUTHORS, ends, strict=True)]
    )
    for record in records:
        told = events.story_published(record)
        await world.parts.jetstream.publish(told.subject, told.payload)
    follow_clock = asyncio.create_task(world.clock.run())
    reads, lateness_api = await _watch_api(world, records, until=ends[-1] + timedelta(seconds=0.2))
    follow_clock.cancel()
    late = await _lateness(world, records)
    bench.figure("api_late_ms", lateness_api, f"greatest of {reads} reads of stories in their last and first moments")
    bench.figure("event_late_p50_ms", percentile(late, 50), "StoryExpired stored in the stream after its moment")
    bench.figure("event_late_p99_ms", percentile(late, 99))
    bench.require(len(late) == count, f"each of the {count} stories has its StoryExpired, not {len(late)}")
    bench.require(reads > 0 and lateness_api == 0, "no read saw a story at or after its end")


async def _watch_api(world: World, records: list[StoryRecord], *, until: datetime) -> tuple[int, float]:
    """Read stories around their ends; return how often, and by how many ms the latest sighting was late, 0 for none."""
    worst, reads = 0.0, 0
    ends = [record.expire_time for record in records]
    while (now := datetime.now(UTC)) < until:
        if now < ends[0] - timedelta(seconds=0.2):
            await asyncio.sleep(0.1)
            continue
        # The one that ends next and the one that just has: by the time of the answer it may be either.
        following = bisect_right(ends, now)
        for record in records[max(0, following - 1) : following + 1]:
            asked_at = datetime.now(UTC)
            [found] = await world.get(record.author_id, record.story_id)
            reads += 1
            if found is not None and asked_at >= record.expire_time:
                worst = max(worst, (asked_at - record.expire_time).total_seconds() * 1_000)
        await asyncio.sleep(0.005)
    return reads, worst


async def _lateness(world: World, records: list[StoryRecord]) -> tuple[float, ...]:
    ends = {f"story.expired.{record.author_id}.{record.story_id}": record.expire_time for record in records}
    context = world.parts.jetstream.context
    subscription = await context.subscribe(
        "story.expired.*.*", ordered_consumer=True, config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL)
    )
    late: dict[str, float] = {}
    try:
        async with asyncio.timeout(15):
            while len(late) < len(ends):
                message = await subscription.next_msg(timeout=10)
                if message.subject in ends:
                    stored = message.metadata.timestamp.astimezone(UTC)
                    late[message.subject] = (stored - ends[message.subject]).total_seconds() * 1_000
    except TimeoutError:
        pass
    await subscription.unsubscribe()
    return tuple(sorted(late.values()))


async def _catch_up(bench: Bench, world: World) -> None:
    count = bench.size(100_000, 5_000)
    bench.say(f"{count} stories ended while sweeper and schedules were down; the sweeper catches up")
    ended = datetime.now(UTC) - timedelta(hours=2) - LIFETIME
    await seed(
        world.dsn, [(800_000 + number % 50_000, ended + timedelta(milliseconds=number)) for number in range(count)]
    )
    began = time.perf_counter()
    moved = 0
    while batch := await world.workers.sweep_stories.expire(limit=BATCH, grace=timedelta(seconds=2)):
        moved += batch
    bench.figure("catch_up_per_s", moved / (time.perf_counter() - began), f"{moved} stories, one sweeper")
    bench.require(moved >= count, f"all {count} were expired, not {moved}")
