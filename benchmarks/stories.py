"""Stories: publishing, the tray by number of followees, and how late stories leave.

For publishing and the tray the service runs in this process on real Postgres, Redis and NATS; feed_svc and media_svc
are answered from memory, so the figures are of story_svc alone: servicer, use case, stores, presigned addresses and
serialised reply, without the hop. Stories end by the workers of a whole system.
"""

import asyncio
import gc
import time
import uuid
from bisect import bisect_right
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from nats.js.api import ConsumerConfig, DeliverPolicy
from psycopg.types.json import Jsonb

from benchmarks.bench import Bench
from benchmarks.load import closed_loop, open_loop, percentile
from devstack.stack import Stack
from mesh.clock import SystemClock, from_ms, to_ms
from mesh.config import S3Config
from mesh.ids import IdMaker
from mesh.migrations import migrate
from story_svc import events, wire
from story_svc.domain import LIFETIME, PURGE_DELAY, StoryId, StoryRecord, StoryState, UserId
from story_svc.usecases.sweep_stories import BATCH
from tests.integration.story_svc.fakes import FakeMedia
from tests.integration.story_svc.world import World, open_world

FIRST_VIEWER = 900_000
FOLLOWEES = (50, 500, 5_000)
VIEWERS = 8
STORIES_AN_AUTHOR = 2
ENDING_AUTHORS = range(700_000, 701_000)
ACTIVE_SHARE = 5
"""One followee in so many has live stories."""


async def run(bench: Bench) -> None:
    """Measure each in turn: first the service in this process, then its workers as processes of their own."""
    async with bench.stack(services=[], servers=["postgres", "nats", "redis"]) as stack:
        await migrate(stack.postgres.dsn("story_svc"), ["mesh.outbox", "story_svc"])
        async with _world(stack) as world:
            await _publish(bench, world)
            await _trays(bench, world)
            await _catch_up(bench, world)
    async with bench.stack(services=["feed_svc", "story_svc"]) as stack, _world(stack) as world:
        await _people(stack, ENDING_AUTHORS)
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


async def _trays(bench: Bench, world: World) -> None:
    """Warm trays of several viewers, in open loop at half of what the service can do, not at saturation."""
    bench.say(f"trays of {VIEWERS} viewers in turn; one followee in {ACTIVE_SHARE} has {STORIES_AN_AUTHOR} stories")
    points = {}
    most = max(FOLLOWEES) + VIEWERS * ACTIVE_SHARE
    moment = datetime.now(UTC) - timedelta(hours=1)
    active = range(1, most + 1, ACTIVE_SHARE)
    await _seed(world.dsn, [(author, moment) for author in active for _ in range(STORIES_AN_AUTHOR)])
    for followees in FOLLOWEES:
        viewers = [FIRST_VIEWER + followees * 10 + number for number in range(VIEWERS)]
        for number, viewer in enumerate(viewers):
            first = 1 + number * ACTIVE_SHARE
            world.graph.follow(viewer, *range(first, first + followees))

        async def tray(number: int, viewers: list[int] = viewers) -> bytes:
            return bytes((await world.tray(viewers[number % VIEWERS])).SerializeToString())

        await asyncio.gather(*(tray(number) for number in range(VIEWERS)))
        ceiling = await closed_loop(tray, callers=4, seconds=bench.size(5, 2))
        began_cpu = time.process_time()
        half = await open_loop(tray, per_s=ceiling.per_s / 2, seconds=bench.seconds)
        cpu_ms = (time.process_time() - began_cpu) / half.answered * 1_000
        points[followees] = half.percentile_ms(50)
        bench.figure(f"tray_{followees}_per_s", ceiling.per_s, "ceiling of one process, 4 in flight")
        bench.figure(f"tray_{followees}_p50_ms", points[followees], f"at half of it, {half.answered} trays")
        bench.figure(f"tray_{followees}_p99_ms", half.percentile_ms(99))
        bench.figure(f"tray_{followees}_cpu_ms", cpu_ms, "of this process, driver and all")
        bench.require(half.failed == 0, f"each tray of {followees} followees was answered")
    commands = await _round_trips(world, viewers[0])
    bench.figure("tray_redis_round_trips", commands, "warm: the viewer, then all reels")
    bench.figure("tray_growth_per_doubling", bench.scaling("followees", "ms per tray", points), "1.0: flat")


async def _round_trips(world: World, viewer: int) -> int:
    """Count how often a warm tray waits for Redis."""
    cache, count = world.parts.cache, 0
    real = cache.server.ask_primary

    async def counted(call):  # type: ignore[no-untyped-def]
        nonlocal count
        count += 1
        return await real(call)

    cache.server.ask_primary = counted  # type: ignore[method-assign]
    await world.tray(viewer)
    cache.server.ask_primary = real  # type: ignore[method-assign]
    return count


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
    records = await _seed(
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
