"""Reading feeds: warm and cold, beside writes, on a friendship graph and on one with accounts beyond the threshold.

Calls go over gRPC to the real feed_svc, whose worker fans out what is posted meanwhile; media_svc is answered from
memory. Capacity is measured in closed loop, latencies in open loop at half of it. Reference: the same page by the
plainest SQL, without cache, rules or hop. Round trips are counted in a feed_svc in this process, on the same stores.
At the end the service's own verifier compares feeds with the oracle.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from psycopg.rows import scalar_row
from redis.asyncio import Redis

from benchmarks import feed_graphs
from benchmarks.bench import Bench
from benchmarks.fan_out import ENVIRONMENT, channel_to_feed
from benchmarks.feed_graphs import Connection, Graph, Ids
from benchmarks.load import Outcome, closed_loop, open_loop, percentile
from benchmarks.measure import cpu_seconds, interleaved
from devstack.certificates import Authority
from devstack.keys import mint_token
from devstack.stack import Stack
from feed_svc.domain import FIRST_POSITION, PostId, UserId
from heliograph.feed.v1 import (
    feed_admin_service_pb2,
    feed_admin_service_pb2_grpc,
    feed_service_pb2,
    feed_service_pb2_grpc,
    post_service_pb2,
    post_service_pb2_grpc,
)
from mesh import auth, queries
from mesh.auth import Viewer
from mesh.config import TlsConfig
from mesh.grpc import client
from mesh.grpc.tls import Credentials
from tests.integration.feed_svc.world import World, open_world

FRIENDS, PEOPLE, AUTHORS = 10_000, 1_000_000, 3_000_000
"""Where the numbers of each kind of person begin: the friendship graph, the crowd, whom the crowd follows."""
READERS, COLD, SCALED = 4_000_000, 5_000_000, 6_000_000
MODEL = 9
"""Whose post lends its photo to the posts that are loaded."""
ORDINARY_AUTHORS = 5_000
FOLLOWEES, COLD_FOLLOWEES = 100, 500
COLD_PER_S = 10.0
SCALED_FOLLOWERS, SCALED_POSTS = (100, 1_000, 10_000), (30, 300, 3_000)
FOLLOWED, POSTING = 100, 200
CALLERS = 16
PAGE = 20


@dataclass
class Rig:
    """feed_svc, and what reaches its stores."""

    bench: Bench
    stack: Stack
    feed: feed_service_pb2_grpc.FeedServiceStub
    posts: post_service_pb2_grpc.PostServiceStub
    admin: feed_admin_service_pb2_grpc.FeedAdminServiceStub
    database: Connection
    redis: Redis
    viewers: dict[int, Viewer] = field(default_factory=dict)

    async def read(self, viewer: int, *, token: str = "") -> Any:
        """Read a page of the home feed."""
        self._become(viewer)
        return await self.feed.GetHomeFeed(feed_service_pb2.GetHomeFeedRequest(page_size=PAGE, page_token=token))

    async def read_author(self, viewer: int, author: int) -> Any:
        """Read an author's newest posts."""
        self._become(viewer)
        return await self.posts.ListPostsByAuthor(
            post_service_pb2.ListPostsByAuthorRequest(author_id=author, page_size=PAGE)
        )

    async def post(self, author: int) -> Any:
        """Publish a post."""
        self._become(author)
        return await self.posts.CreatePost(
            post_service_pb2.CreatePostRequest(upload_id=str(uuid.uuid4()), request_id=uuid.uuid4().hex)
        )

    def know(self, *people: int) -> None:
        """Have tokens at hand, so that none is made while time is taken."""
        key = Path(self.stack.state.jwt_private_key)
        for person in people:
            self.viewers[person] = Viewer(person, 2**40, mint_token(key, person))

    async def warm(self, viewers: Ids) -> None:
        """Read once, and wait until each has a timeline that was built for it."""
        self.know(*viewers.tolist())
        waiting = viewers.tolist()
        async with asyncio.timeout(120):
            while waiting:
                for start in range(0, len(waiting), CALLERS):
                    await asyncio.gather(*(self.read(viewer) for viewer in waiting[start : start + CALLERS]))
                await asyncio.sleep(0.2)
                pipeline = self.redis.pipeline(transaction=False)
                for viewer in waiting:
                    pipeline.hexists(f"tlm:{{{viewer}}}", "g")
                waiting = [viewer for viewer, built in zip(waiting, await pipeline.execute(), strict=True) if not built]

    def _become(self, person: int) -> None:
        auth.set_viewer(self.viewers[person])


@dataclass(frozen=True, slots=True)
class People:
    """Who plays which part."""

    friends: Ids
    readers: Ids
    writers: Ids
    cold: Ids
    scaled: dict[str, dict[int, int]]
    """By what grows: a reader for each size."""


async def run(bench: Bench) -> None:
    """Measure warm reads, both mixes, cold reads, growth, memory; then verify."""
    async with _rig(bench) as rig:
        people = await _people(bench, rig)
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
    await _drained(rig)
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
    await _drained(rig)
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
                await rig.redis.delete(*(f"{name}:{{{reader}}}" for name in ("tl", "tlm", "tlb", "page")))
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
        parts = [await rig.redis.memory_usage(f"{name}:{{{viewer}}}") or 0 for name in ("tl", "tls", "tlm")]
        sizes.append(sum(parts))
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
    await _drained(rig)
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


async def _drained(rig: Rig) -> None:
    """Wait until every post is delivered."""
    async with asyncio.timeout(60):
        while True:
            row = await (
                await rig.database.execute(
                    "SELECT (SELECT count(*) FROM outbox)"
                    " + (SELECT count(*) FROM posts WHERE delivery_mode = 1 AND fan_out_time IS NULL)"
                )
            ).fetchone()
            if row == (0,):
                return
            await asyncio.sleep(0.1)


def _drawn(people: Ids, number: int) -> int:
    """Return one of the people: uniform, and the same for the same number."""
    return int(people[number * 2_654_435_761 % 4_294_967_291 % len(people)])


def _all_answered(bench: Bench, *outcomes: Outcome) -> None:
    for outcome in outcomes:
        bench.require(outcome.failed == 0, f"every call is answered: {dict(outcome.failures)}")


@asynccontextmanager
async def _rig(bench: Bench) -> AsyncIterator[Rig]:
    async with AsyncExitStack() as exits:
        stack = await exits.enter_async_context(
            bench.stack(services=["feed_svc"], servers=["postgres", "nats", "redis"], environment=ENVIRONMENT)
        )
        channel = await channel_to_feed(exits, stack)
        authority = Authority(stack.folder.path / "tls")
        staff = await exits.enter_async_context(
            client.connect(
                stack.state.environment("feed_svc.serve")["HELIOGRAPH_LISTEN"],
                server_name="feed_svc",
                services=[],
                credentials=Credentials.from_config(TlsConfig(authority.file, *authority.issue("cli"))),
            )
        )
        yield Rig(
            bench,
            stack,
            feed_service_pb2_grpc.FeedServiceStub(channel),
            post_service_pb2_grpc.PostServiceStub(channel),
            feed_admin_service_pb2_grpc.FeedAdminServiceStub(staff),
            await exits.enter_async_context(feed_graphs.bulk_writer(stack.postgres.admin_dsn("feed_svc"))),
            await exits.enter_async_context(Redis.from_url(stack.redis.admin_url())),
        )


async def _people(bench: Bench, rig: Rig) -> People:
    """Write both graphs and their posts."""
    began = time.monotonic()
    crowd = np.arange(PEOPLE, PEOPLE + bench.size(200_000, 20_000), dtype=np.int64)
    giants = {AUTHORS - 1 - n: len(crowd) * share // 100 for n, share in enumerate((45, 55, 75))}
    threshold = len(crowd) // 2
    await rig.database.execute("UPDATE delivery_policies SET pull_threshold = %s", (threshold,))
    authors = np.arange(AUTHORS, AUTHORS + ORDINARY_AUTHORS, dtype=np.int64)
    readers = np.arange(READERS, READERS + bench.size(1_000, 200), dtype=np.int64)
    cold = np.arange(COLD, COLD + bench.size(300, 60), dtype=np.int64)
    friends = feed_graphs.friendships(FRIENDS)
    scaled, grown = _scaled(crowd, authors)
    graph = feed_graphs.joined(
        [
            friends,
            *grown,
            feed_graphs.audience(MODEL, crowd[:1]),
            feed_graphs.crowd(crowd, authors, each=3, seed=0),
            feed_graphs.crowd(readers, authors, each=FOLLOWEES, seed=1),
            feed_graphs.crowd(cold, authors, each=COLD_FOLLOWEES, seed=2),
            *(
                feed_graphs.audience(giant, np.concatenate([crowd[:followers], readers, cold]))
                for giant, followers in giants.items()
            ),
        ]
    )
    await feed_graphs.load(rig.database, graph)
    rig.know(MODEL, *authors[:500].tolist())
    await rig.post(MODEL)
    await feed_graphs.load_posts(rig.database, authors, each=bench.size(20, 8))
    await feed_graphs.load_posts(rig.database, friends.people, each=bench.size(30, 10))
    for giant, followers in giants.items():
        await feed_graphs.load_posts(
            rig.database, np.array([giant]), each=300, is_pulled=followers >= threshold, days=30
        )
    await _load_scaled_posts(rig)
    await rig.database.execute("VACUUM (ANALYZE)")
    bench.say(
        f"{len(graph.people):,} people, {len(graph.followers):,} edges, threshold {threshold:,}, giants of"
        f" {', '.join(f'{count:,}' for count in giants.values())}; friends: {friends.name};"
        f" loaded in {time.monotonic() - began:.0f} s"
    )
    return People(friends.people, readers, authors[:500], cold, scaled)


def _scaled(crowd: Ids, authors: Ids) -> tuple[dict[str, dict[int, int]], list[Graph]]:
    """Return for each thing that grows a reader by size, and the edges for them."""
    followed, posting = "followers of the authors", "posts of the authors"
    readers: dict[str, dict[int, int]] = {"followees": {}, followed: {}, posting: {}}
    graphs = []
    for place, followees in enumerate((50, 500, 5_000)):
        readers["followees"][followees] = SCALED + place
        graphs.append(Graph("", np.full(followees, SCALED + place, dtype=np.int64), authors[:followees]))
    for place, (followers, posts) in enumerate(zip(SCALED_FOLLOWERS, SCALED_POSTS, strict=True)):
        for what, size, row in ((followed, followers, FOLLOWED), (posting, posts, POSTING)):
            reader = readers[what][size] = SCALED + row + place
            people = np.append(crowd[:followers], reader) if what == followed else np.array([reader])
            graphs += [feed_graphs.audience(author, people) for author in _scaled_authors(row, place).tolist()]
    return readers, graphs


def _scaled_authors(row: int, place: int) -> Ids:
    return np.arange(10, dtype=np.int64) + SCALED + 1_000 * (row + place)


async def _load_scaled_posts(rig: Rig) -> None:
    for place, posts in enumerate(SCALED_POSTS):
        await feed_graphs.load_posts(rig.database, _scaled_authors(FOLLOWED, place), each=30)
        await feed_graphs.load_posts(rig.database, _scaled_authors(POSTING, place), each=posts, days=posts)
