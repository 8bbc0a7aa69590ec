"""Open inboxes: messages delivered per second on one core, and what an idle one weighs."""

import asyncio
import time
from contextlib import AsyncExitStack

from benchmarks.bench import Bench
from benchmarks.hot_document.keys import Keys
from benchmarks.hot_document.processes import PYTHON, SERVER_CORE, line_of, process
from benchmarks.hot_document.sockets import Crowd, most_sockets
from benchmarks.measure import cpu_seconds, memory_mib
from devstack.folder import temporary_folder

IDLE = 18_000
USERS, DEVICES = 50, 20
"""Who is told something while it is measured: each of the devices gets each event of its user."""


async def measure(bench: Bench) -> None:
    """Open devices, tell them something, open many more, weigh them."""
    async with AsyncExitStack() as stack:
        keys = Keys(stack.enter_context(temporary_folder("keys")) / "jwks.json")
        command = (PYTHON, "-m", "benchmarks.hot_document.inbox_server", str(keys.file))
        server = await stack.enter_async_context(process(SERVER_CORE, *command))
        crowd = Crowd(int(await line_of(server)))
        stack.callback(crowd.close)
        await crowd.open([keys.token(user) for user in range(1, USERS + 1) for _ in range(DEVICES)])
        await _deliver(bench, server, crowd)
        await _weigh(bench, server, crowd, keys)


async def _deliver(bench: Bench, server: asyncio.subprocess.Process, crowd: Crowd) -> None:
    events = bench.size(100, 30)
    messages = USERS * DEVICES * events
    rates, busy = [], []
    for _ in range(bench.size(7, 3)):
        before = crowd.count
        assert server.stdin is not None
        server.stdin.write(f"{USERS} {events}\n".encode())
        await line_of(server)
        began, used = time.perf_counter(), cpu_seconds(server.pid)
        async with asyncio.timeout(60):
            await crowd.has_got(before + messages)
        seconds = time.perf_counter() - began
        busy.append((cpu_seconds(server.pid) - used) / seconds)
        await line_of(server)
        rates.append(messages / seconds)
    rates.sort()
    bench.say(f"{messages:,} messages to {USERS * DEVICES:,} sockets, server's core {max(busy):.0%} busy")
    bench.figure(
        "socket_messages_per_s", rates[len(rates) // 2], f"{USERS} people with {DEVICES} devices each, one core"
    )
    bench.require(crowd.lost == 0, "no socket is closed while messages are delivered")


async def _weigh(bench: Bench, server: asyncio.subprocess.Process, crowd: Crowd, keys: Keys) -> None:
    before, count = memory_mib(server.pid), bench.size(most_sockets(IDLE), 3_000) - USERS * DEVICES
    points = {}
    for share in (0.5, 1.0):
        opened = int(count * share) - int(count * (share - 0.5))
        start = 1_000 + int(count * (share - 0.5))
        await crowd.open([keys.token(user) for user in range(start, start + opened)])
        points[int(count * share)] = memory_mib(server.pid) - before
    grown = points[count]
    bench.figure("kib_per_idle_subscription", grown * 1024 / count, f"{count:,} more sockets, one inbox each")
    bench.figure("server_mib", memory_mib(server.pid), "resident memory with all of them open")
    bench.scaling("idle sockets", "MiB", points)
    bench.require(crowd.lost == 0, "no idle socket is closed")
