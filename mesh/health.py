"""Readiness, per dependency, and the small HTTP server that tells it: /healthz, /readyz, /metrics.

/healthz says that the process runs; /readyz that it can do its work right now, or which dependency keeps it from it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest

from mesh.errors import RefusedToServe
from mesh.telemetry import registry

CHECK_SECONDS = 2.0

_up = Gauge("dependency_up", "1 when the dependency answered the last check", ["dependency"])

Check = Callable[[], Awaitable[object]]


class Health:
    """The dependencies of a process, and whether it is draining."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        self.draining = False

    def depends_on(self, name: str, check: Check) -> None:
        """Name a dependency; `check` raises when it is away."""
        self._checks[name] = check

    async def report(self) -> dict[str, str]:
        """Return "ok" or what is wrong, by dependency."""
        names = list(self._checks)
        answers = await asyncio.gather(*(self._ask(name) for name in names))
        return dict(zip(names, answers, strict=True))

    async def is_ready(self) -> bool:
        """Whether every dependency answers and the process is not draining."""
        return not self.draining and all(answer == "ok" for answer in (await self.report()).values())

    async def _ask(self, name: str) -> str:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await self._checks[name]()
        except Exception as error:  # any trouble of a check is its answer
            _up.labels(name).set(0)
            return type(error).__name__
        _up.labels(name).set(1)
        return "ok"


def add_routes(app: web.Application, health: Health) -> None:
    """Add /healthz, /readyz and /metrics to an HTTP application."""

    async def healthz(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_request: web.Request) -> web.Response:
        report = await health.report()
        ready = not health.draining and all(answer == "ok" for answer in report.values())
        body = {"ready": ready, "draining": health.draining, "dependencies": report}
        return web.json_response(body, status=200 if ready else 503)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry()), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)


@asynccontextmanager
async def serve(health: Health, listen: str) -> AsyncIterator[None]:
    """Serve the three pages on `host:port` until the end of the context; `RefusedToServe` when the port is taken."""
    app = web.Application()
    add_routes(app, health)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    host, _, port = listen.rpartition(":")
    try:
        try:
            await web.TCPSite(runner, host.strip("[]"), int(port)).start()
        except OSError as error:
            raise RefusedToServe(
                f"can't listen on {listen}: another process does, or it is no address of this machine; "
                "set HELIOGRAPH_METRICS_LISTEN to a free one"
            ) from error
        yield
    finally:
        await runner.cleanup()
