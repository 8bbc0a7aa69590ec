"""Fan-out: posts into followers' timelines, beside raw pipelined ZADDs into timelines of the same length.

Ours: posts are created over gRPC; the real worker relays their events, reads the followers and pushes. Throughput is
that of a backlog, which is made while the worker stands still: from the moment it goes on until the last post is
noted as being everywhere; afterwards Redis is asked whether each follower has each post. Reference: ZADDs of as many
posts for the same people into plain sorted sets, built beforehand and sent as they are, over as many connections as
ours; and for comparison our own command, sent in the same way to the very lists that we write to. Neither cuts; ours
does, as in service: timelines are full, and each stands at another place between two cuts. media_svc is answered from
memory.
"""

import asyncio
import itertools
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from redis.asyncio import Redis

from benchmarks.bench import Bench
from benchmarks.load import open_loop, percentile
from benchmarks.measure import cpu_seconds, interleaved
from devstack.certificates import Authority
from devstack.keys import mint_token
from devstack.stack import Stack
from feed_svc.cache import Timelines
from feed_svc.cache.marks import TimelineMark
from feed_svc.domain import PostId
from heliograph.feed.v1 import post_service_pb2, post_service_pb2_grpc
from heliograph.media.v1.media_service_pb2_grpc import MediaServiceServicer, add_MediaServiceServicer_to_server
from mesh import auth, redis_bulk
from mesh.auth import TokenVerifier, Viewer
from mesh.config import TlsConfig, TokenConfig
from mesh.grpc import client, server
from mesh.grpc.server import Service, allow
from mesh.grpc.tls import Credentials
from mesh.health import Health
from mesh.redis_bulk import Bulk, Ids, requests
from tests.integration.feed_svc.world import FakeMedia

MEDIA = "heliograph.media.v1.MediaService"
ENVIRONMENT = {"HELIOGRAPH_MEDIA_PUBLIC_URL": "http://photos.example"}
GROUP = 5_000
"""Followers of each author of the throughput."""
GROUPS = 8
"""So many of these authors at most."""
LENGTH = 300
"""Posts in a timeline before."""
FIRST_FOLLOWER = 1_000_000
SMALL_FOLLOWERS = 20
SMALL_PER_S = 10.0
SAMPLE = 500
"""Followers of a giant that are watched."""
RAW_CONNECTIONS = 16
RAW_BATCH = 1_000
GROUP_AUTHOR, SMALL_AUTHOR, GIANT, SCALED = 100, 10_000, 50, 60
"""Where the numbers of each kind of author begin."""


class Uploads(MediaServiceServicer):
    """media_svc, as far as feed_svc asks it."""

    def __init__(self) -> None:
        self._media = FakeMedia()

    async def AttachUpload(self, request: Any, context: Any) -> Any:  # noqa: N802 - the proto's name
        return await self._media.AttachUpload(request)

    async def DeleteMedia(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._media.DeleteMedia(request)


@dataclass
class Rig:
    """feed_svc with its worker, and what reaches its stores."""

    bench: Bench
    stack: Stack
    stub: post_service_pb2_grpc.PostServiceStub
    database: psycopg.AsyncConnection[Any]
    redis: Redis
    bulk: Bulk
    key: Path
    followers: Ids
    viewers: dict[int, Viewer] = field(default_factory=dict)

    async def post(self, author: int) -> int:
        if author not in self.viewers:
            self.viewers[author] = Viewer(author, 2**40, mint_token(self.key, author))
        auth.set_viewer(self.viewers[author])
        reply = await self.stub.CreatePost(
            post_service_pb2.CreatePostRequest(upload_id=str(uuid.uuid4()), caption="", request_id=uuid.uuid4().hex)
        )
        return int(reply.item.post.post_id)

    async def holders(self, post: int, people: Ids) -> Ids:
        """Return 1 for each of the people who has the post in the timeline, else 0."""
        places = await self.bulk.integers(people, "LPOS", "home:{*}", post, "RANK", -1)
        return (places >= 0).astype(np.int64)

    async def everywhere(self, posts: list[int]) -> float:
        """Wait until every post is noted as delivered; return when the last one was, as Unix time."""
        async with asyncio.timeout(120):
            while True:
                found = await self.database.execute(
                    "SELECT count(fan_out_time), extract(epoch FROM max(fan_out_time))::float8 FROM posts"
                    " WHERE post_id = ANY(%s)",
                    (posts,),
                )
                count, last = await found.fetchone() or (0, None)
                if count == len(posts):
                    return float(last)
                await asyncio.sleep(0.1)


async def run(bench: Bench) -> None:
    """Measure throughput beside the reference, a giant's post, small authors beside it, and growth by followers."""
    async with _rig(bench) as rig:
        await _throughput(bench, rig)
        await _giant(bench, rig)
        await _growth(bench, rig)


async def _throughput(bench: Bench, rig: Rig) -> None:
    groups = _groups(rig.followers)
    count = groups * bench.size(20, 10)
    deliveries = count * GROUP
    bench.say(f"{count} posts to {GROUP} followers each, by the worker and as raw commands, in turn")
    raw_posts = itertools.count(int(time.time() * 1000) << 22, 1 << 22)
    processes = {"worker": rig.stack.pid("feed_svc.work") or 0, "redis": rig.stack.pid("redis") or 0}
    spent = dict.fromkeys(processes, 0.0)
    missing = 0

    async def delivered() -> float:
        nonlocal missing
        rig.stack.pause("feed_svc.work")
        try:
            posts = [(author, await rig.post(GROUP_AUTHOR + author)) for author in _in_turn(groups, count)]
        finally:
            before = {name: cpu_seconds(process) for name, process in processes.items()}
            began = time.time()
            rig.stack.resume("feed_svc.work")
        ended = await rig.everywhere([post for _, post in posts])
        for name, process in processes.items():
            spent[name] += cpu_seconds(process) - before[name]
        for author, post in posts:
            held = await rig.holders(post, rig.followers[author * GROUP : (author + 1) * GROUP])
            missing += GROUP - int(held.sum())
        return deliveries / (ended - began)

    async def raw(command: Callable[[int], tuple[int | str, ...]], undo: tuple[int | str, ...]) -> float:
        batches = []
        for author in _in_turn(groups, count):
            words = command(next(raw_posts))
            for start in range(author * GROUP, (author + 1) * GROUP, RAW_BATCH):
                batches.append(requests(rig.followers[start : start + RAW_BATCH], *words))
        seconds = await _send(rig, batches)
        undone = rig.followers[: groups * GROUP]
        await _send(rig, [requests(undone[at : at + RAW_BATCH], *undo) for at in range(0, len(undone), RAW_BATCH)])
        return deliveries / seconds

    rounds = bench.size(5, 3)
    posts_each = count // groups
    compared = await interleaved(
        rounds,
        delivered=delivered,
        zadd=lambda: raw(
            lambda post: ("ZADD", "raw:{*}", -(post >> 10), post), ("ZREMRANGEBYRANK", "raw:{*}", 0, posts_each - 1)
        ),
        rpushx=lambda: raw(lambda post: ("RPUSHX", "home:{*}", post), ("LTRIM", "home:{*}", 0, -posts_each - 1)),
    )
    bench.figure("deliveries_per_s", compared.median("delivered"), "from the worker's start to the last timeline")
    bench.figure("raw_zadd_per_s", compared.median("zadd"), f"the reference: pre-built, into sorted sets of {LENGTH}")
    bench.figure("ratio_to_raw_zadd", compared.ratio("delivered", "zadd"))
    bench.figure("raw_rpushx_per_s", compared.median("rpushx"), "our command, pre-built, into the same lists")
    bench.figure("ratio_to_raw_rpushx", compared.ratio("delivered", "rpushx"), "1.0: nothing but Redis costs")
    for name, seconds in spent.items():
        bench.figure(f"{name}_cpu_us", seconds * 1e6 / (rounds * deliveries), "per delivery")
    memory = [await rig.redis.memory_usage(f"{key}:{{{rig.followers[0]}}}") for key in ("home", "raw")]
    bench.figure("timeline_bytes", float(memory[0]), f"as a sorted set: {memory[1]}")
    bench.require(missing == 0, f"every follower has every post; {missing} are missing")


async def _send(rig: Rig, batches: list[bytes]) -> float:
    """Send requests over a few connections, one batch at a time on each; return the seconds until the last answer."""
    (server,) = await rig.bulk._shares(rig.followers[:1])
    connections = [await rig.bulk._take(server.node) for _ in range(RAW_CONNECTIONS)]
    waiting = iter(batches)

    async def sender(connection: Any) -> None:
        for batch in waiting:
            await connection.ask([batch], RAW_BATCH)

    began = time.perf_counter()
    await asyncio.gather(*(sender(connection) for connection in connections))
    seconds = time.perf_counter() - began
    for connection in connections:
        connection.close()
    return seconds


async def _giant(bench: Bench, rig: Rig) -> None:
    posts = bench.size(8, 3)
    bench.say(f"{posts} posts to {len(rig.followers)} followers; small authors post {SMALL_PER_S:.0f} a second beside")
    sample = rig.followers[:: max(1, len(rig.followers) // SAMPLE)]
    giant: list[float] = []
    small: list[float] = []

    async def one_small(number: int) -> None:
        began = time.monotonic()
        author = number % bench.size(200, 50)
        post = await rig.post(SMALL_AUTHOR + author)
        people = np.array([_small_follower(author, place) for place in range(SMALL_FOLLOWERS)], dtype=np.int64)
        small.extend(await _watch(rig, post, people, began))

    async def giants() -> None:
        for _ in range(posts):
            began = time.monotonic()
            post = await rig.post(GIANT)
            giant.extend(await _watch(rig, post, sample, began))

    task = asyncio.create_task(giants())
    outcome = await open_loop(one_small, per_s=SMALL_PER_S, seconds=bench.seconds * 2)
    await task
    bench.figure("giant_visible_p50_ms", percentile(tuple(sorted(giant)), 50))
    bench.figure(
        "giant_visible_p99_ms", percentile(tuple(sorted(giant)), 99), f"CreatePost -> {len(rig.followers)} timelines"
    )
    bench.figure("small_author_visible_p50_ms", percentile(tuple(sorted(small)), 50))
    bench.figure("small_author_visible_p99_ms", percentile(tuple(sorted(small)), 99), "beside the giant's posts")
    bench.require(outcome.failed == 0, f"every post of a small author arrives: {dict(outcome.failures)}")


async def _watch(rig: Rig, post: int, people: Ids, began: float) -> list[float]:
    """Return after how many milliseconds each of the people had the post; looks every 10 ms."""
    times: list[float] = []
    async with asyncio.timeout(60):
        while len(people):
            held = await rig.holders(post, people)
            times += [(time.monotonic() - began) * 1000] * int(held.sum())
            people = people[held == 0]
            await asyncio.sleep(0.01)
    return times


async def _growth(bench: Bench, rig: Rig) -> None:
    bench.say("Time for each delivery of one post, by the author's followers")
    points = {}
    for number, followers in enumerate(_scaled(rig.followers)):
        seconds = []
        for _ in range(3):
            post = await rig.post(SCALED + number)
            await rig.everywhere([post])
            row = await rig.database.execute(
                "SELECT extract(epoch FROM fan_out_time - create_time)::float8 FROM posts WHERE post_id = %s", (post,)
            )
            seconds.append((await row.fetchone() or (0.0,))[0])
        points[len(followers)] = sorted(seconds)[1] * 1e6 / len(followers)
    bench.figure("delivery_growth_per_doubling", bench.scaling("followers", "us per delivery", points), "1.0: flat")


def _groups(followers: Ids) -> int:
    return min(GROUPS, len(followers) // GROUP)


def _in_turn(groups: int, count: int) -> list[int]:
    return [number % groups for number in range(count)]


def _scaled(followers: Ids) -> list[Ids]:
    return [followers[: len(followers) // part] for part in (10, 3, 1)]


def _small_follower(author: int, place: int) -> int:
    return 100_000 + author * SMALL_FOLLOWERS + place


@asynccontextmanager
async def _rig(bench: Bench) -> AsyncIterator[Rig]:
    async with AsyncExitStack() as exits:
        stack = await exits.enter_async_context(
            bench.stack(
                services=["feed_svc"],
                servers=["postgres", "nats", "redis"],
                environment=ENVIRONMENT,
                # Everybody's timeline is a full one, and there is the reference beside.
                settings={"redis": {"maxmemory": "2gb"}},
            )
        )
        stub = post_service_pb2_grpc.PostServiceStub(await channel_to_feed(exits, stack))
        database = await exits.enter_async_context(
            await psycopg.AsyncConnection.connect(stack.postgres.admin_dsn("feed_svc"), autocommit=True)
        )
        redis = await exits.enter_async_context(Redis.from_url(stack.redis.admin_url()))
        bulk = await exits.enter_async_context(redis_bulk.connect(redis, stack.redis.admin_url()))
        count = bench.size(99_999, 20_000)
        followers = np.arange(FIRST_FOLLOWER, FIRST_FOLLOWER + count, dtype=np.int64)
        rig = Rig(bench, stack, stub, database, redis, bulk, Path(stack.state.jwt_private_key), followers)
        await _people(bench, rig)
        yield rig


async def channel_to_feed(exits: AsyncExitStack, stack: Stack) -> Any:
    """Answer for media_svc, and open a channel to feed_svc as the gateway does."""
    authority = Authority(stack.folder.path / "tls")
    environment = stack.state.environment("feed_svc.serve")
    await exits.enter_async_context(
        server.serve(
            listen=environment["HELIOGRAPH_MEDIA_ADDRESS"],
            services=[Service(MEDIA, lambda to: add_MediaServiceServicer_to_server(Uploads(), to))],
            callers=allow(MEDIA, by=("feed_svc",)),
            credentials=_credentials(authority, "media_svc"),
            verifier=TokenVerifier.from_config(TokenConfig(Path(environment["HELIOGRAPH_JWT_KEYS"]), "heliograph")),
            health=Health(),
            reflected=False,
        )
    )
    return await exits.enter_async_context(
        client.connect(
            environment["HELIOGRAPH_LISTEN"],
            server_name="feed_svc",
            services=[],
            credentials=_credentials(authority, "gateway"),
            default_seconds=30.0,
        )
    )


def _credentials(authority: Authority, name: str) -> Credentials:
    certificate, key = authority.issue(name)
    return Credentials.from_config(TlsConfig(authority.file, certificate, key))


async def _people(bench: Bench, rig: Rig) -> None:
    """Write authors, followers and full timelines."""
    groups = _groups(rig.followers)
    audiences = {GROUP_AUTHOR + n: rig.followers[n * GROUP : (n + 1) * GROUP] for n in range(groups)}
    audiences |= {GIANT: rig.followers}
    audiences |= {SCALED + number: people for number, people in enumerate(_scaled(rig.followers))}
    small = bench.size(200, 50)
    for number in range(small):
        first = _small_follower(number, 0)
        audiences[SMALL_AUTHOR + number] = np.arange(first, first + SMALL_FOLLOWERS, dtype=np.int64)
    for author, people in audiences.items():
        first, last = int(people[0]), int(people[-1])
        for statement, values in (
            ("INSERT INTO users (user_id, username, display_name) VALUES (%s, 'u' || %s, '')", (author, author)),
            ("INSERT INTO followers SELECT %s, id FROM generate_series(%s::bigint, %s) id", (author, first, last)),
            ("INSERT INTO follows SELECT id, %s FROM generate_series(%s::bigint, %s) id", (author, first, last)),
            (
                "INSERT INTO user_counts (user_id, slot, follower_count) VALUES (%s, 0, %s)",
                (author, len(people)),
            ),
        ):
            await rig.database.execute(statement, values)
    everybody = np.unique(np.concatenate(list(audiences.values())))
    for first, last in ((everybody[0], 100_000 + small * SMALL_FOLLOWERS - 1), (FIRST_FOLLOWER, everybody[-1])):
        # Everybody is active; every twelfth may have the app open.
        await rig.database.execute(
            "INSERT INTO timelines SELECT id, now() - random() * interval '23 hours'"
            " FROM generate_series(%s::bigint, %s) id",
            (int(first), int(last)),
        )
    await rig.database.execute("ANALYZE")
    await _fill(rig, everybody)


async def _fill(rig: Rig, people: Ids) -> None:
    """Give everybody a full timeline as fan-out leaves it, and a plain sorted set as long as it for the reference."""
    lengths = Timelines(rig.redis, rig.bulk, timeline_length=LENGTH)
    day_ago = (int(time.time() * 1000) - 86_400_000 - 1_767_225_600_000) << 22
    old = [day_ago + (n << 22) for n in range(lengths.trim_beyond)]
    lists = [await _dumped(rig, old[-length:]) for length in range(LENGTH, lengths.trim_beyond)]
    await rig.redis.zadd("dumped", {str(post): -(post >> 10) for post in old[-LENGTH:]})
    as_set = await rig.redis.dump("dumped")
    compared = set(rig.followers[: _groups(rig.followers) * GROUP].tolist())
    for start in range(0, len(people), 1_000):
        pipeline = rig.redis.pipeline(transaction=False)
        for person in people[start : start + 1_000].tolist():
            pipeline.restore(f"home:{{{person}}}", 0, lists[person % len(lists)], replace=True)
            if person in compared:
                pipeline.restore(f"raw:{{{person}}}", 0, as_set, replace=True)
        await pipeline.execute()


async def _dumped(rig: Rig, posts: list[int]) -> bytes:
    mark = TimelineMark(PostId(posts[0]), 0, 0, 0, frozenset())
    await rig.redis.rpush("dumped", str(mark), *posts[1:])
    dump = bytes(await rig.redis.dump("dumped"))
    await rig.redis.delete("dumped")
    return dump
