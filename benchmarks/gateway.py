"""The gateway's hot document beside Apollo Server, Mercurius with JIT and stock Strawberry; its sockets.

All answer the home screen (20 posts of 8 fields, 10 reels) from one gRPC backend, each server on one core of its own,
the backend and the load on the other. Ours has on what it has in production: tokens, metrics, limits, deadlines; the
others check no token. That all of them answer the same is checked first. Without npm the Node servers are left out.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

import orjson

from benchmarks.bench import Bench
from benchmarks.hot_document import inbox
from benchmarks.hot_document.http_load import Connections, connections
from benchmarks.hot_document.keys import Keys
from benchmarks.hot_document.processes import OTHER_CORE, PYTHON, SERVER_CORE, line_of, process, stay_on
from benchmarks.load import closed_loop, open_loop
from benchmarks.measure import Comparison, cpu_seconds, interleaved, memory_mib
from devstack.folder import CHECKOUT, temporary_folder

MODULE = "benchmarks.hot_document"
RIVALS = CHECKOUT / "benchmarks/hot_document/rivals"
INSTALL = CHECKOUT / "tests/e2e/clients/install.sh"
CALLERS = 32
WARM_UP_SECONDS = 4.0
"""Also in a quick run: Node compiles what it has seen often, and measured after 1 s it looks half as fast as it is."""
RATE_PER_S = 400.0
MOST_REFUSED = 0.005


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs."""

    name: str
    process_id: int
    connections: Connections


async def run(bench: Bench) -> None:
    """Compare answers, then throughput in turn, then latencies at one rate; then sockets."""
    stay_on(OTHER_CORE)
    async with AsyncExitStack() as stack:
        servers, tell_backend = await _start(bench, stack)
        await _compare_answers(bench, servers, tell_backend)
        await _throughput(bench, servers)
        await _latency(bench, servers)
    await inbox.measure(bench)


async def _start(bench: Bench, stack: AsyncExitStack) -> tuple[dict[str, Server], Callable[[str], Awaitable[None]]]:
    keys = Keys(stack.enter_context(temporary_folder("keys")) / "jwks.json")
    backend = await stack.enter_async_context(process(OTHER_CORE, PYTHON, "-m", f"{MODULE}.backend"))
    ports = (await line_of(backend)).split()
    commands = {
        kind: (PYTHON, "-m", f"{MODULE}.server", kind, *ports, str(keys.file)) for kind in ("ours", "plain", "stock")
    }
    if node := await _node(bench):
        protos = str(CHECKOUT / "protos")
        commands |= {kind: (node, str(RIVALS / f"{kind}.mjs"), *ports, protos) for kind in ("mercurius", "apollo")}
    servers = {}
    for name, command in commands.items():
        started = await stack.enter_async_context(process(SERVER_CORE, *command))
        port = int(await line_of(started))
        servers[name] = Server(name, started.pid, await stack.enter_async_context(connections(port, keys.token())))

    async def tell_backend(word: str) -> None:
        assert backend.stdin is not None
        backend.stdin.write(f"{word}\n".encode())
        await line_of(backend)

    return servers, tell_backend


async def _compare_answers(
    bench: Bench, servers: Mapping[str, Server], tell_backend: Callable[[str], Awaitable[None]]
) -> None:
    await tell_backend("same")
    answers = {name: await server.connections.ask() for name, server in servers.items()}
    await tell_backend("turns")
    for name, answer in answers.items():
        bench.require(orjson.loads(answer) == orjson.loads(answers["ours"]), f"{name} answers what the gateway answers")
    bench.require(answers["ours"] == answers["plain"], "a plan answers with the bytes of graphql-core")
    bench.say(f"{len(answers)} servers answer the same: {len(answers['ours']):,} bytes")


async def _throughput(bench: Bench, servers: Mapping[str, Server]) -> None:
    """Requests per second of a core: what a server answers divided by the CPU time it took for that."""
    seconds = 1.0 if bench.quick else 2.0
    by_clock: dict[str, float] = {}

    def side(server: Server) -> Callable[[], Awaitable[float]]:
        async def measured() -> float:
            used = cpu_seconds(server.process_id)
            outcome = await closed_loop(server.connections.ask, callers=CALLERS, seconds=seconds)
            used = cpu_seconds(server.process_id) - used
            by_clock[server.name] = outcome.per_s
            bench.require(not outcome.failed, f"{server.name} answers everything: {dict(outcome.failures)}")
            return outcome.answered / used

        return measured

    for server in servers.values():
        await closed_loop(server.connections.ask, callers=CALLERS, seconds=WARM_UP_SECONDS)
    compared = await interleaved(bench.size(7, 3), **{name: side(server) for name, server in servers.items()})
    bench.table(
        ["server", "requests/s of a core", "ours : it", "by the clock", "MiB"],
        [
            (
                name,
                f"{compared.median(name):,.0f}",
                f"{compared.ratio('ours', name):.2f}",
                f"{by_clock[name]:,.0f}",
                f"{memory_mib(server.process_id):.0f}",
            )
            for name, server in servers.items()
        ],
    )
    bench.figure("requests_per_s", compared.median("ours"), "the gateway, of one core")
    for name, figure in (
        ("mercurius", "ratio_to_mercurius_jit"),
        ("apollo", "ratio_to_apollo"),
        ("stock", "ratio_to_stock_strawberry"),
        ("plain", "ratio_to_graphql_core"),
    ):
        _ratio(bench, compared, name, figure)


def _ratio(bench: Bench, compared: Comparison, name: str, figure: str) -> None:
    if name in compared.rounds[0]:
        bench.figure(figure, compared.ratio("ours", name), "requests/s of a core, median over the rounds")


async def _latency(bench: Bench, servers: Mapping[str, Server]) -> None:
    bench.say(f"Latencies at {RATE_PER_S:.0f} requests/s (open loop)")
    rows = []
    for name in ("ours", "mercurius"):
        if (server := servers.get(name)) is None:
            continue
        outcome = await open_loop(server.connections.ask, per_s=RATE_PER_S, seconds=bench.seconds / 2)
        # A process at its limit refuses; on a machine that has other work a burst of arrivals can take it there.
        few = outcome.failed <= MOST_REFUSED * (outcome.failed + outcome.answered)
        bench.require(few, f"{name} answers nearly everything: {dict(outcome.failures)}")
        rows.append(
            (name, *(f"{outcome.percentile_ms(percent):.1f}" for percent in (50, 99)), f"{outcome.driver_late_ms:.1f}")
        )
        if name == "ours":
            bench.figure("p99_ms", outcome.percentile_ms(99), f"at {RATE_PER_S:.0f} requests/s")
    bench.table(["server", "p50 ms", "p99 ms", "driver late ms"], rows)


async def _node(bench: Bench) -> str | None:
    """Return the path of `node`, the rivals' packages in place; `None` where npm can't be had."""
    if shutil.which("npm") is None:
        bench.say("Without npm: Apollo and Mercurius are left out")
        return None
    installer = await asyncio.create_subprocess_exec("bash", str(INSTALL), str(RIVALS), stdout=-1, stderr=-1)
    output, problems = await installer.communicate()
    if installer.returncode != 0:
        bench.say(f"Apollo and Mercurius could not be installed:\n{problems.decode()[-500:]}")
        return None
    return output.decode().strip()
