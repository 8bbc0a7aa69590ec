"""Reading feeds: warm and cold, beside writes, on a friendship graph and on one with accounts beyond the threshold.

Calls go over gRPC to the real feed_svc, whose worker fans out what is posted meanwhile; media_svc is answered from
memory. Capacity is measured in closed loop, latencies in open loop at half of it. Reference: the same page by the
plainest SQL, without cache, rules or hop. Round trips are counted in a feed_svc in this process, on the same stores.
At the end the service's own verifier compares feeds with the oracle.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import numpy as np
from psycopg.rows import scalar_row

from benchmarks.bench import Bench
from benchmarks.feed_graphs import Ids
from benchmarks.feed_rig import CALLERS, COLD_FOLLOWEES, FOLLOWEES, PAGE, People, Rig, open_rig, settle
from benchmarks.load import Outcome, closed_loop, open_loop, percentile
from benchmarks.measure import cpu_seconds, interleaved
from feed_svc.domain import FIRST_POSITION, PostId, UserId
from heliograph.feed.v1 import feed_admin_service_pb2
from mesh import queries
from tests.integration.feed_svc.world import World, open_world

COLD_PER_S = 10.0


async def run(bench: Bench) -> None:
    """Measure warm reads, both mixes, cold reads, growth, memory; then verify."""
    async with open_rig(bench) as rig:
        people = await settle(bench, rig)
        await _warm(bench, rig, people)
        await _reference(bench, rig, people)
        await _friendships(bench, rig, people)
        await _cold(bench, rig, people)
        await _growth(bench, rig, people)
        await _costs(bench, rig, people)
        await _verify(bench, rig, people)


async def _warm(bench: Bench, rig: Rig, people: People) -> None:
    bench.say(
        f"{len(people.readers)} people with {FOLLOWEES} followees and three giants read; one call in ten is a post"
    )
    await rig.warm(people.readers)
    process = rig.stack.pid("feed_svc.serve") or 0

    async def read(number: int) -> None:
        await rig.read(_drawn(people.readers, number))

    async def write(number: int) -> None:
        await rig.post(_drawn(people.writers, number))

    async def mixed(number: int) -> None:
        await (write if number % 10 == 9 else read)(number)

    await closed_loop(mixed, callers=CALLERS, seconds=2)
    used = cpu_seconds(process)
    ceiling = await closed_loop(mixed, callers=CALLERS, seconds=bench.seconds)
    bench.figure("requests_per_s", ceiling.per_s, f"90/10, one process, {CALLERS} in flight")
    bench.figure("cpu_ms_per_request", (cpu_seconds(process) - used) * 1000 / ceiling.answered, "of feed_svc serve")
    await rig.drained()
    reads, writes = await asyncio.gather(
        open_loop(read, per_s=ceiling.per_s * 0.45, seconds=bench.seconds, seed=1),
        open_loop(write, per_s=ceiling.per_s * 0.05, seconds=bench.seconds, seed=2),
    )
    half = f"at half the ceiling, {reads.per_s:.0f} reads and {writes.per_s:.0f} posts a second"
    bench.figure("warm_p50_ms", reads.percentile_ms(50), half)
    bench.figure("warm_p99_ms", reads.percentile_ms(99), f"the driver itself was late by {reads.driver_late_ms:.1f} ms")
    bench.figure("write_p99_ms", writes.percentile_ms(99))
    _all_answered(bench, ceiling, reads, writes)


async def _reference(bench: Bench, rig: Rig, people: People) -> None:
    plain = queries.load("feed_svc", "sql/feeds.sql")["oracle_feed"]
    rows = queries.load("feed_svc", "sql/posts.sql")["get_posts"]

    async def by_sql(number: int) -> None:
        viewer = _drawn(people.readers, number)
        async with rig.database.cursor(row_factory=scalar_row) as cursor:
            await cursor.execute(plain.sql, {"viewer_id": viewer, "limit": PAGE + 1})
            post_ids = await cursor.fetchall()
        await (await rig.database.execute(rows.sql, {"post_ids": post_ids})).fetchall()

    async def ours(number: int) -> None:
        await rig.read(_drawn(people.readers, number))

    seconds = bench.size(2, 1)
    compared = await interleaved(
        bench.size(5, 3), ours=partial(_alone, ours, seconds), by_sql=partial(_alone, by_sql, seconds)
    )
    bench.figure("plain_sql_per_s", compared.median("by_sql"), "the reference: oracle query and rows, one at a time")
    bench.figure("ratio_to_plain_sql", compared.ratio("ours", "by_sql"), "one at a time, ours over gRPC")


async def _alone(call: Callable[[int], Awaitable[None]], seconds: float) -> float:
    return (await closed_loop(call, callers=1, seconds=seconds)).per_s


async def _friendships(bench: Bench, rig: Rig, people: People) -> None:
    bench.say(f"{len(people.friends)} friends: 60 % home, 30 % an author, 10 % a post, people uniform")
    await rig.warm(people.friends)

    async def home(number: int) -> None:
        await rig.read(_drawn(people.friends, number))

    async def author(number: int) -> None:
        await rig.read_author(_drawn(people.friends, number), _drawn(people.friends, number + 7))

    async def compose(number: int) -> None:
        await rig.post(_drawn(people.friends, number))

    async def mixed(number: int) -> None:
        await (compose if number % 10 == 9 else author if number % 10 in (2, 5, 8) else home)(number)

    ceiling = await closed_loop(mixed, callers=CALLERS, seconds=bench.seconds)
    bench.figure("friends_requests_per_s", ceiling.per_s, f"60/30/10, {CALLERS} in flight")
    await rig.drained()
    half = ceiling.per_s / 2
    outcomes = await asyncio.gather(
        *(
            open_loop(call, per_s=half * share, seconds=bench.seconds, seed=seed)
            for seed, (call, share) in enumerate(((home, 0.6), (author, 0.3), (compose, 0.1)), start=3)
        )
    )
    for name, outcome in zip(("home", "author", "compose"), outcomes, strict=True):
        bench.figure(f"friends_{name}_p50_ms", outcome.percentile_ms(50), "at half the ceiling")
        bench.figure(f"friends_{name}_p99_ms", outcome.percentile_ms(99))
    _all_answered(bench, ceiling, *outcomes)


async def _cold(bench: Bench, rig: Rig, people: People) -> None:
    bench.say(
        f"{len(people.cold)} people with {COLD_FOLLOWEES} followees come back after long, {COLD_PER_S:.0f} a second"
    )
    rig.know(*people.cold.tolist())
    waiting = iter(people.cold.tolist())

    async def first_read(_: int) -> None:
        if (viewer := next(waiting, None)) is not None:
            page = await rig.read(viewer)
            bench.require(len(page.items) == PAGE, "a first page is full")

    outcome = await open_loop(first_read, per_s=COLD_PER_S, seconds=len(people.cold) / COLD_PER_S * 0.9)
    bench.figure("cold_p50_ms", outcome.percentile_ms(50), "no timeline: by pull, while timelines are built beside")
    bench.figure("cold_p99_ms", outcome.percentile_ms(99))
    _all_answered(bench, outcome)


async def _growth(bench: Bench, rig: Rig, people: People) -> None:
    for what, readers in people.scaled.items():
        warm, cold = {}, {}
        rounds = bench.size(100, 30)
        for size, reader in readers.items():
            await rig.warm(np.array([reader], dtype=np.int64))
            warm[size] = await _median_ms(lambda reader=reader: rig.read(reader), rounds)

            async def by_pull(reader: int = reader) -> None:
                await rig.redis.delete(f"home:{{{reader}}}")
                await rig.read(reader)

            cold[size] = await _median_ms(by_pull, rounds)
        bench.say(f"A page by {what}")
        name = what.replace(" ", "_")
        bench.figure(f"warm_growth_by_{name}", bench.scaling(what, "ms, warm", warm), "per doubling; 1.0: flat")
        bench.figure(f"cold_growth_by_{name}", bench.scaling(what, "ms, by pull", cold), "per doubling")


async def _median_ms(call: Callable[[], Awaitable[object]], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        await call()
        times.append((time.perf_counter() - began) * 1000)
    return percentile(tuple(sorted(times)), 50)


async def _costs(bench: Bench, rig: Rig, people: People) -> None:
    sizes = []
    for viewer in people.readers[:100].tolist():
        sizes.append(await rig.redis.memory_usage(f"home:{{{viewer}}}") or 0)
    bench.figure("redis_bytes_per_timeline", sum(sizes) / len(sizes), "timeline and what is noted of it")
    stack = rig.stack
    async with open_world(
        dsn=stack.postgres.dsn("feed_svc"), redis_url=stack.redis.url("feed_svc"), nats_url=stack.nats.url("feed_svc")
    ) as world:
        viewer = UserId(int(people.readers[0]))
        fresh = await _counted(world, viewer)
        again = await _counted(world, viewer)
    bench.figure("redis_round_trips", fresh[0], "a warm timeline, in a process that holds no post yet")
    bench.figure("redis_round_trips_again", again[0], "when the process holds the posts")
    bench.figure("postgres_queries", again[1], "a warm first page; RPCs to other services: 0")
    bench.require(fresh[0] <= 2, "the first page of a warm timeline takes two Redis round trips")


async def _counted(world: World, viewer: UserId) -> tuple[int, int]:
    """Read a first page; return how often Redis and Postgres were waited for."""
    redis_calls = postgres_calls = 0
    client_type, postgres = type(world.redis), world.parts.store._postgres
    command, primary, read = client_type.execute_command, postgres.primary, postgres.read

    async def counted_command(self: Any, *args: Any, **options: Any) -> Any:
        nonlocal redis_calls
        redis_calls += 1
        return await command(self, *args, **options)

    def counted(borrow: Callable[[], Any]) -> Callable[[], Any]:
        def borrowed() -> Any:
            nonlocal postgres_calls
            postgres_calls += 1
            return borrow()

        return borrowed

    client_type.execute_command = counted_command  # type: ignore[method-assign]
    postgres.primary, postgres.read = counted(primary), counted(read)  # type: ignore[method-assign]
    try:
        page = await world.parts.get_home_feed(viewer, page_size=PAGE, before=PostId(FIRST_POSITION))
    finally:
        client_type.execute_command = command  # type: ignore[method-assign]
        postgres.primary, postgres.read = primary, read  # type: ignore[method-assign]
    assert len(page.views) == PAGE
    return redis_calls, postgres_calls


async def _verify(bench: Bench, rig: Rig, people: People) -> None:
    await rig.drained()
    count = bench.size(60, 20)
    checked = [*people.readers[:count], *people.friends[:count], *people.cold[: count // 4]]
    found = 0
    posts = 0
    for start in range(0, len(checked), 20):
        verdict = await rig.admin.VerifyFeeds(
            feed_admin_service_pb2.VerifyFeedsRequest(
                user_ids=[int(user) for user in checked[start : start + 20]], depth=400
            ),
            timeout=60,
        )
        posts += verdict.posts_checked
        found += verdict.missing_count + verdict.extra_count + verdict.doubled_count + verdict.out_of_order_count
    bench.figure("verify_differences", found, f"{len(checked)} people, {posts} posts compared with the oracle")
    bench.require(found == 0, f"served feeds are the oracle's; {found} differences")


def _drawn(people: Ids, number: int) -> int:
    """Return one of the people: uniform, and the same for the same number."""
    return int(people[number * 2_654_435_761 % 4_294_967_291 % len(people)])


def _all_answered(bench: Bench, *outcomes: Outcome) -> None:
    for outcome in outcomes:
        bench.require(outcome.failed == 0, f"every call is answered: {dict(outcome.failures)}")
