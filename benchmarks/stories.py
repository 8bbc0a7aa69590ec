"""Stories: publishing, the tray by number of followees, and how late stories leave.

The service runs in this process on real Postgres, Redis and NATS; feed_svc and media_svc are answered from memory,
so the figures are of story_svc alone: servicer, use case, stores, presigned addresses and serialised reply, without
the hop.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from nats.js.api import ConsumerConfig, DeliverPolicy
from psycopg.types.json import Jsonb

from benchmarks.bench import Bench
from benchmarks.load import percentile
from mesh.clock import SystemClock, from_ms, to_ms
from mesh.config import S3Config
from mesh.database_clock import DatabaseClock
from mesh.ids import IdMaker
from mesh.migrations import migrate
from mesh.presign import Presigner
from mesh.schedule import Schedule
from story_svc import events, wire
from story_svc.domain import LIFETIME, PURGE_DELAY, StoryId, StoryRecord, StoryState, UserId
from story_svc.photos import Photos
from story_svc.usecases.sweep_stories import BATCH
from tests.integration.story_svc.world import FakeMedia, World, open_world

VIEWER = 1_000_000 - 1
STORIES_AN_AUTHOR = 2
ACTIVE_SHARE = 5
"""One followee in so many has live stories."""


async def run(bench: Bench) -> None:
    """Measure each in turn on one stack."""
    async with bench.stack(services=[], servers=["postgres", "nats", "redis"]) as stack:
        dsn = stack.postgres.dsn("story_svc")
        await migrate(dsn, ["mesh.outbox", "story_svc"])
        async with _world(dsn, stack.redis.url("story_svc"), stack.nats.url("story_svc")) as world:
            await _publish(bench, world)
            await _trays(bench, world)
            await _ends(bench, world)
            await _catch_up(bench, world)


@asynccontextmanager
async def _world(dsn: str, redis_url: str, nats_url: str) -> AsyncIterator[World]:
    s3 = S3Config("http://127.0.0.1:9", "access", "secret", "us-east-1", None)
    async with open_world(dsn=dsn, redis_url=redis_url, nats_url=nats_url, s3=s3, file=Path()) as world:
        # Here time runs.
        clock = DatabaseClock(world.parts.store.read_clock)
        await clock.synchronise()
        world.clock = clock
        world.wire_up(
            clock=clock,
            photos=Photos(Presigner(s3), clock),
            schedule=Schedule(world.parts.jetstream, events.STORIES_NAME, clock),
        )
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


async def _trays(bench: Bench, world: World) -> None:
    points = {}
    seeded: set[int] = set()
    rounds = bench.size(400, 60)
    for followees in (50, 500, 5_000):
        viewer = VIEWER - followees
        world.graph.follow(viewer, *range(1, followees + 1))
        now = datetime.now(UTC)
        active = range(1, followees + 1, ACTIVE_SHARE)
        fresh = sorted(set(active) - seeded)
        seeded |= set(active)
        await _seed(
            world.dsn, [(author, now - timedelta(hours=1)) for author in fresh for _ in range(STORIES_AN_AUTHOR)]
        )
        await world.parts.cache.forget_reels([UserId(author) for author in active])
        times = []
        cpu = 0.0
        for number in range(rounds + 1):
            began, began_cpu = time.perf_counter(), time.process_time()
            reply = await world.tray(viewer)
            reply.SerializeToString()
            if number:
                cpu += time.process_time() - began_cpu
                times.append((time.perf_counter() - began) * 1_000)
        times.sort()
        points[followees] = percentile(tuple(times), 50)
        bench.figure(f"tray_{followees}_p50_ms", points[followees], f"{len(reply.reels)} reels shown, warm")
        bench.figure(f"tray_{followees}_p99_ms", percentile(tuple(times), 99))
        bench.figure(f"tray_{followees}_cpu_ms", cpu / rounds * 1_000, "of this process, whoever else uses the machine")
    commands = await _round_trips(world, VIEWER - 500)
    bench.figure("tray_redis_round_trips", commands, "warm: the viewer, then all reels")
    bench.figure("tray_growth_per_doubling", bench.scaling("followees", "ms per tray", points), "1.0: flat")


async def _round_trips(world: World, viewer: int) -> int:
    """Count how often a warm tray waits for Redis."""
    cache, count = world.parts.cache, 0
    real = cache._ask_primary

    async def counted(call):  # type: ignore[no-untyped-def]
        nonlocal count
        count += 1
        return await real(call)

    cache._ask_primary = counted  # type: ignore[method-assign]
    await world.tray(viewer)
    cache._ask_primary = real  # type: ignore[method-assign]
    return count


async def _ends(bench: Bench, world: World) -> None:
    """Stories that end within one second: when StoryExpired stands in the stream, and whether any read saw one late."""
    count = bench.size(1_000, 300)
    lead = timedelta(seconds=bench.size(12, 6))
    first_end = datetime.now(UTC).replace(microsecond=0) + lead
    ends = [first_end + timedelta(seconds=number / count) for number in range(count)]
    author = 700_000
    bench.say(f"{count} stories of as many people end within one second")
    records = await _seed(world.dsn, [(author + number, end - LIFETIME) for number, end in enumerate(ends)])
    tasks = [asyncio.create_task(consumer.run()) for consumer in world.workers.consumers()]
    tasks += [asyncio.create_task(loop()) for _, loop in world.workers.timers()]
    tasks.append(asyncio.create_task(world.clock.run()))
    try:
        for record in records:
            told = events.story_published(record)
            await world.parts.jetstream.publish(told.subject, told.payload)
        lateness_api = await _watch_api(world, records, until=ends[-1] + timedelta(seconds=1))
        late = await _lateness(world, records)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    bench.figure("api_late_ms", lateness_api, "greatest; reads of stories in their last and first moments")
    bench.figure("event_late_p50_ms", percentile(late, 50), "StoryExpired stored in the stream after its moment")
    bench.figure("event_late_p99_ms", percentile(late, 99))
    bench.require(len(late) == count, f"each of the {count} stories has its StoryExpired, not {len(late)}")
    bench.require(lateness_api == 0, "no read saw a story at or after its end")


async def _watch_api(world: World, records: list[StoryRecord], *, until: datetime) -> float:
    """Read stories around their ends; return by how much the latest sighting was late, in ms, 0 for none."""
    worst = 0.0
    while (now := datetime.now(UTC)) < until:
        near = [record for record in records if abs(record.expire_time - now) < timedelta(milliseconds=100)][:20]
        for record in near:
            asked_at = datetime.now(UTC)
            [found] = await world.get(record.author_id, record.story_id)
            if found is not None and asked_at >= record.expire_time:
                worst = max(worst, (asked_at - record.expire_time).total_seconds() * 1_000)
        await asyncio.sleep(0.005)
    return worst


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
    await _seed(
        world.dsn, [(800_000 + number % 50_000, ended + timedelta(milliseconds=number)) for number in range(count)]
    )
    began = time.perf_counter()
    moved = 0
    while batch := await world.workers.sweep_stories.expire(limit=BATCH, grace=timedelta(seconds=2)):
        moved += batch
    bench.figure("catch_up_per_s", moved / (time.perf_counter() - began), f"{moved} stories, one sweeper")
    bench.require(moved >= count, f"all {count} were expired, not {moved}")


async def _seed(dsn: str, stories: list[tuple[int, datetime]]) -> list[StoryRecord]:
    """Write rows of live stories (author, create time) and return their records."""
    ids = IdMaker(clock=SystemClock(), node=999)
    media = FakeMedia()
    photo = wire.photo_of_media(media.media(media.upload(1)))
    content = Jsonb(asdict(photo))
    records = []
    async with (
        await psycopg.AsyncConnection.connect(dsn) as connection,
        connection.cursor() as cursor,
        cursor.copy(
            "COPY stories (author_id, story_id, request_id, upload_id, photo, state, create_time, expire_time,"
            " purge_due_time, purge_try_time) FROM STDIN"
        ) as copy,
    ):
        for author, moment in stories:
            create = from_ms(to_ms(moment))
            end = create + LIFETIME
            story_id, request_id, upload_id = ids.next_id(), uuid.uuid4().hex, str(uuid.uuid4())
            due = end + PURGE_DELAY
            await copy.write_row((author, story_id, request_id, upload_id, content, 1, create, end, due, due))
            records.append(
                StoryRecord(
                    StoryId(story_id), UserId(author), request_id, upload_id, photo, StoryState.LIVE, create, end,
                    None, due, None, False, "", None,
                )
            )  # fmt: skip
    return records
