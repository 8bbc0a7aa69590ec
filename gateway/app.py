"""The wiring of the gateway: every object of the process is built here."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from aiohttp import web

from gateway import clients as services
from gateway.clients import Clients
from gateway.config import ON, Config
from gateway.context import Services
from gateway.documents import Documents, read_registry
from gateway.engine import Engine
from gateway.http import connections, page
from gateway.http.admission import Admission
from gateway.http.callers import CallerReader
from gateway.http.connections import Connections
from gateway.http.endpoint import MAX_BODY_BYTES, Endpoint
from gateway.http.inbox_stream import DOCUMENT as INBOX_DOCUMENT
from gateway.http.inbox_stream import PATH as INBOX_PATH
from gateway.http.inbox_stream import InboxStreams
from gateway.http.origins import Origins
from gateway.http.socket import Sockets
from gateway.live.hub import SWEEP_SECONDS, Hub
from gateway.rate import RateLimiter
from gateway.schema import build
from mesh import health, jetstream
from mesh.auth import TokenVerifier
from mesh.config import DEVELOPMENT
from mesh.cursor import CursorSigner
from mesh.errors import RefusedToServe, Unavailable
from mesh.health import Health
from mesh.jetstream import MessagingUnavailable
from mesh.lifecycle import Process
from mesh.periodic import every
from mesh.telemetry import get_logger

COST_PER_MINUTE = 600_000
ADDRESS_COST_PER_MINUTE = 6_000_000
DEVELOPMENT_FACTOR = 1_000
"""In development one machine plays a whole crowd."""
TOKEN_CHECK_SECONDS = 5.0
"""How soon the sockets of tokens are closed whose key was withdrawn."""
DRAIN_SHARE = 0.5
"""Share of the time to drain in which sockets are told to leave."""
PATH = "/graphql"

_log = get_logger(__name__)


async def start(process: Process, config: Config) -> None:
    """Start the gateway."""
    clients = await process.enter(services.connect(config))
    hub = Hub(clients)
    gateway = Gateway(config, clients, hub)
    process.loop("live_events", lambda: _hear(config.nats_url, hub))
    process.loop("waiting_connections", every(connections.SWEEP_SECONDS, "waiting_connections", gateway.end_waiting))
    process.loop("token_check", every(TOKEN_CHECK_SECONDS, "token_check", gateway.check_tokens))
    process.loop("inbox_sweep", every(SWEEP_SECONDS, "inbox_sweep", hub.sweep))
    await process.enter(health.serve(gateway.health, config.process.metrics_listen))
    await process.enter(gateway.serve(config.process.listen))
    process.drain(gateway.drain)


class Gateway:
    """The HTTP side of the process."""

    def __init__(self, config: Config, clients: Clients, hub: Hub) -> None:
        development = config.process.environment == DEVELOPMENT
        factor = DEVELOPMENT_FACTOR if development else 1
        schema = build()
        documents = Documents(
            schema,
            introspection=development,
            trusted=[
                INBOX_DOCUMENT,
                *(read_registry(config.trusted_documents) if config.trusted_documents else ()),
            ],
            only_trusted=config.only_trusted == ON,
            compiled=config.compiled_plans == ON,
        )
        engine = Engine(
            documents=documents,
            services=Services(clients, hub, CursorSigner(config.cursor_key)),
            people=RateLimiter(config.cost_per_minute or COST_PER_MINUTE * factor),
            addresses=RateLimiter(config.address_cost_per_minute or ADDRESS_COST_PER_MINUTE * factor),
            request_seconds=config.request_seconds,
        )
        callers = CallerReader(TokenVerifier.from_config(config.tokens), trusted_proxies=config.trusted_proxies)
        origins = Origins(config.allowed_origins)
        admission = Admission()
        self._endpoint = Endpoint(engine, callers, origins, admission)
        self._sockets = Sockets(engine, callers, origins, admission)
        self._inbox_streams = InboxStreams(engine, callers, origins)
        self._callers = callers
        self._keys_read = callers.keys_read
        self._connections = Connections()
        self._runner: web.AppRunner | None = None
        self._shows_page = development
        self._drain_seconds = config.process.drain_seconds
        self.health = Health()
        self.health.depends_on("services", lambda: _any_answers(clients))

    @asynccontextmanager
    async def serve(self, listen: str) -> AsyncIterator[int]:
        """Serve on `host:port` until the end of the context; gives the port."""
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[self._connections.middleware])
        health.add_routes(app, self.health)
        app.router.add_route("*", PATH, self._handle)
        app.router.add_route("*", INBOX_PATH, self._handle)
        if self._shows_page:
            page.add_routes(app)
        runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=1.0,
            # Compressed bodies are refused, and aiohttp would still inflate what is left of them.
            auto_decompress=False,
        )
        await runner.setup()
        self._runner = runner
        host, _, port = listen.rpartition(":")
        # With a short queue, a burst of new connections would wait a second for its second SYN.
        site = web.TCPSite(runner, host, int(port), backlog=1_024)
        try:
            await site.start()
        except OSError as error:
            raise RefusedToServe(f"{listen} can't be listened on ({error.strerror}); set HELIOGRAPH_LISTEN") from error
        try:
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()

    async def drain(self) -> None:
        """Be no longer ready, and send the sockets to other processes."""
        self.health.draining = True
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sockets.drain(self._drain_seconds * DRAIN_SHARE))
            group.create_task(self._inbox_streams.drain(self._drain_seconds * DRAIN_SHARE))

    async def end_waiting(self) -> None:
        """End connections that only wait."""
        if self._runner is not None and self._runner.server is not None:
            self._connections.sweep(self._runner.server.connections)

    async def check_tokens(self) -> None:
        """End sockets and streams whose tokens are valid no more; only after a change of the keys there are any."""
        if self._keys_read != (keys_read := self._callers.keys_read):
            self._keys_read = keys_read
            await self._sockets.check_tokens()
            await self._inbox_streams.check_tokens()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self._shows_page and page.is_meant(request):
            raise web.HTTPFound("/")
        if request.path == INBOX_PATH:
            return await self._inbox_streams.handle(request)
        if request.method == "GET" and request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._sockets.handle(request)
        return await self._endpoint.handle(request)


async def _hear(nats_url: str, hub: Hub) -> None:
    """Keep the hub connected to NATS; the gateway serves without it, only hints come late."""
    while True:
        try:
            async with jetstream.connect(nats_url, name="gateway") as connected:
                await hub.attach(connected)
                await asyncio.Event().wait()
        except MessagingUnavailable as error:
            _log.warning("nats_away", why=error.message)
            await asyncio.sleep(SWEEP_SECONDS)


async def _any_answers(clients: Clients) -> None:
    """Raise when no service can be reached. One that is away fails its own fields, not the gateway."""
    states = [channel.get_state(try_to_connect=True) for channel in clients.channels.values()]
    if grpc.ChannelConnectivity.READY not in states:
        raise Unavailable
