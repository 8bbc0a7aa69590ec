"""Trays as a caller of story_svc has them: over gRPC, by number of followees; the driver is a process of its own.

Each viewer follows neighbours on a circle of authors, of whom one in five has two live stories. First reads are of
viewers of whom nothing is known yet. Then all is warm: capacity in closed loop, latencies in open loop at half of it,
counted at the caller from the intended moment to the last byte of the reply, so that whatever waits in the service
or before it is part of them.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import numpy as np

from benchmarks import feed_graphs
from benchmarks.bench import Bench
from benchmarks.load import closed_loop, open_loop, percentile
from benchmarks.measure import cpu_seconds
from benchmarks.story_rows import seed
from cli import scrape
from devstack.certificates import Authority
from devstack.keys import mint_token
from devstack.stack import Stack
from heliograph.story.v1.story_service_pb2 import GetStoryTrayRequest
from mesh import auth
from mesh.auth import Viewer
from mesh.config import TlsConfig
from mesh.grpc import client
from mesh.grpc.tls import Credentials

METHOD = "/heliograph.story.v1.StoryService/GetStoryTray"
AUTHORS = np.arange(1, 10_001, dtype=np.int64)
ACTIVE_SHARE = 5
"""One author in so many has live stories."""
STORIES_AN_AUTHOR = 2
FIRST_VIEWER = 900_000
VIEWERS = {50: 100, 500: 100, 5_000: 20}
"""How many viewers follow so many authors."""
CALLERS = 8
SERVICE = "story_svc.serve"


async def measure(bench: Bench, stack: Stack) -> None:
    """Measure trays of each number of followees."""
    bench.say(
        f"trays over gRPC; {len(AUTHORS):,} authors, of whom one in {ACTIVE_SHARE} has {STORIES_AN_AUTHOR} stories;"
        f" {', '.join(f'{count} viewers of {followees:,}' for followees, count in VIEWERS.items())}"
    )
    await _settle(stack)
    points = {}
    async with _trays(stack) as read:
        for followees, count in VIEWERS.items():
            points[followees] = await _measure(bench, stack, read, followees, range(count))
    bench.figure("tray_growth_per_doubling", bench.scaling("followees", "ms per tray", points), "1.0: flat")


Read = Callable[[int], Awaitable[bytes]]
"""Reads the tray of a viewer, undecoded."""


async def _settle(stack: Stack) -> None:
    graphs = [
        feed_graphs.crowd(
            np.arange(count, dtype=np.int64) + _viewer(followees, 0), AUTHORS, each=followees, seed=followees
        )
        for followees, count in VIEWERS.items()
    ]
    async with feed_graphs.bulk_writer(stack.postgres.admin_dsn("feed_svc")) as database:
        await feed_graphs.load(database, feed_graphs.joined(graphs))
        await database.execute("VACUUM (ANALYZE)")
    moments = random.Random(1)
    now = datetime.now(UTC)
    active = [author for author in AUTHORS[::ACTIVE_SHARE].tolist() for _ in range(STORIES_AN_AUTHOR)]
    await seed(
        stack.postgres.dsn("story_svc"),
        sorted(((author, now - timedelta(hours=moments.uniform(1, 20))) for author in active), key=lambda one: one[1]),
    )


@asynccontextmanager
async def _trays(stack: Stack) -> AsyncIterator[Read]:
    authority = Authority(stack.folder.path / "tls")
    key = Path(stack.state.jwt_private_key)
    viewers = {
        viewer: Viewer(viewer, 2**40, mint_token(key, viewer))
        for followees, count in VIEWERS.items()
        for viewer in range(_viewer(followees, 0), _viewer(followees, count))
    }
    async with client.connect(
        stack.state.environment(SERVICE)["HELIOGRAPH_LISTEN"],
        server_name="story_svc",
        services=[],
        credentials=Credentials.from_config(TlsConfig(authority.file, *authority.issue("gateway"))),
        default_seconds=30.0,
    ) as channel:
        call = channel.unary_unary(METHOD, GetStoryTrayRequest.SerializeToString, bytes)

        async def read(viewer: int) -> bytes:
            auth.set_viewer(viewers[viewer])
            reply: bytes = await call(GetStoryTrayRequest())
            return reply

        yield read


async def _measure(bench: Bench, stack: Stack, read: Read, followees: int, numbers: Sequence[int]) -> float:
    """Hand over the figures of one number of followees, and return the median of a tray."""
    viewers = [_viewer(followees, number) for number in numbers]
    draw = random.Random(followees)

    async def tray(_: int) -> None:
        await read(draw.choice(viewers))

    first, sizes = await _first_reads(read, viewers)
    bench.figure(f"tray_{followees}_first_p50_ms", percentile(first, 50), "one at a time, nothing known of the viewer")
    bench.figure(f"tray_{followees}_bytes", sum(sizes) / len(sizes))
    await closed_loop(tray, callers=CALLERS, seconds=2)
    ceiling = await closed_loop(tray, callers=CALLERS, seconds=bench.size(8, 3))
    process = stack.pid(SERVICE) or 0
    used, before = cpu_seconds(process), await _scrape(stack)
    half = await open_loop(tray, per_s=ceiling.per_s / 2, seconds=bench.seconds)
    cpu_ms = (cpu_seconds(process) - used) / half.answered * 1_000
    inside = _p99_ms(before, await _scrape(stack))
    bench.figure(f"tray_{followees}_per_s", ceiling.per_s, f"ceiling of one process, {CALLERS} in flight")
    bench.figure(f"tray_{followees}_p50_ms", half.percentile_ms(50), f"at half of it, {half.answered} trays")
    bench.figure(
        f"tray_{followees}_p99_ms",
        half.percentile_ms(99),
        f"the driver itself was late by {half.driver_late_ms:.1f} ms",
    )
    bench.figure(f"tray_{followees}_p99_inside_ms", inside, "by the service's own histogram, without the hop")
    bench.figure(f"tray_{followees}_cpu_ms", cpu_ms, "of the service, gRPC and TLS included")
    bench.require(half.failed == 0, f"each tray of {followees} followees was answered")
    return half.percentile_ms(50)


async def _first_reads(read: Read, viewers: Sequence[int]) -> tuple[tuple[float, ...], list[int]]:
    """Return how long each viewer's first tray took, ascending, and how many bytes each had."""
    times, sizes = [], []
    for viewer in viewers:
        began = time.perf_counter()
        sizes.append(len(await read(viewer)))
        times.append((time.perf_counter() - began) * 1_000)
    return tuple(sorted(times)), sizes


async def _scrape(stack: Stack) -> scrape.Scrape:
    address = stack.state.environment(SERVICE)["HELIOGRAPH_METRICS_LISTEN"]
    async with aiohttp.ClientSession() as http, http.get(f"http://{address}/metrics") as answer:
        return scrape.parse(await answer.text(), at=asyncio.get_running_loop().time())


def _p99_ms(before: scrape.Scrape, after: scrape.Scrape) -> float:
    """Return the 99th percentile of what was handled between the two, as Prometheus estimates it from buckets."""
    name = "grpc_server_handling_seconds_bucket"
    earlier = before.total(name)
    counts = sorted(
        (float(dict(labels)["le"]) * 1_000, count - earlier.get(labels, 0.0))
        for labels, count in after.total(name).items()
        if dict(labels)["method"] == METHOD
    )
    wanted = counts[-1][1] * 0.99
    lower, below = 0.0, 0.0
    for bound, count in counts:
        if count >= wanted:
            return lower + (bound - lower) * (wanted - below) / (count - below)
        lower, below = bound, count
    return lower


def _viewer(followees: int, number: int) -> int:
    return FIRST_VIEWER + followees * 10 + number
