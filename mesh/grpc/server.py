"""A gRPC server of the mesh."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from mesh.auth import TokenVerifier
from mesh.errors import RefusedToServe
from mesh.grpc.bundles import Bundles
from mesh.grpc.calls import Callers, CallGuard
from mesh.grpc.tls import KEEPALIVE, Credentials
from mesh.health import Health

MAX_IN_FLIGHT = 512
"""Calls that one process handles at once; more are refused at once, so that those it has are answered in time."""
MAX_REQUEST_BYTES = 1024 * 1024
HEALTH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Service:
    """One gRPC service: its full name, and what registers its servicer, as grpcio-tools generates it."""

    name: str
    register: Callable[[Any], None]


class Server:
    """A started server."""

    def __init__(
        self, server: grpc.aio.Server, bundles: Bundles, health: Health, grpc_health: HealthServicer, port: int
    ) -> None:
        self._server = server
        self._bundles = bundles
        self._health = health
        self._grpc_health = grpc_health
        self.port = port
        """The port that the system gave when port 0 was asked for."""

    async def drain(self, grace_seconds: float) -> None:
        """Say NOT_SERVING, take no new calls, let those in flight finish within `grace_seconds`."""
        self._health.draining = True
        await self._grpc_health.enter_graceful_shutdown()
        self._bundles.close()
        await self._server.stop(grace_seconds)

    async def watch_health(self) -> None:
        """Keep the gRPC health status in step with the dependencies, until cancelled."""
        while True:
            ready = await self._health.is_ready()
            status = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
            await self._grpc_health.set("", status)
            await asyncio.sleep(HEALTH_SECONDS)


class _Both:
    """Where a servicer is registered: with gRPC for calls that come alone, and for those in bundles."""

    def __init__(self, server: grpc.aio.Server, bundles: Bundles) -> None:
        self._server = server
        self._bundles = bundles

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        self._server.add_generic_rpc_handlers(handlers)
        self._bundles.answer(handlers)

    def add_registered_method_handlers(self, service: str, handlers: Any) -> None:
        self._server.add_registered_method_handlers(service, handlers)


@asynccontextmanager
async def serve(
    *,
    listen: str,
    services: list[Service],
    callers: Callers,
    credentials: Credentials,
    verifier: TokenVerifier,
    health: Health,
    reflected: bool,
    max_in_flight: int = MAX_IN_FLIGHT,
    linger_seconds: float = 0.0,
) -> AsyncIterator[Server]:
    """Start a server on `host:port`; `reflected` lets development tools ask for the protos.

    `linger_seconds`: how long after others answers wait for more, while they come in company (`BundleWriter`).
    """
    guard = CallGuard(callers=callers, verifier=verifier, max_in_flight=max_in_flight)
    server = grpc.aio.server(
        interceptors=[guard],
        options=[
            # Otherwise two processes on one port would share it in silence.
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
            *KEEPALIVE,
            ("grpc.max_concurrent_streams", 2 * max_in_flight),
        ],
    )
    bundles = Bundles(guard, linger_seconds=linger_seconds)
    bundles.add_to(server)
    for service in services:
        service.register(_Both(server, bundles))
    grpc_health = HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(grpc_health, server)
    if reflected:
        reflection.enable_server_reflection([*(one.name for one in services), reflection.SERVICE_NAME], server)
    try:
        port = server.add_secure_port(listen, credentials.server())
    except RuntimeError as error:
        raise RefusedToServe(
            f"can't listen on {listen}: another process does, or it is no address of this machine; "
            "set HELIOGRAPH_LISTEN to a free one"
        ) from error
    await server.start()
    try:
        yield Server(server, bundles, health, grpc_health, port)
    finally:
        await server.stop(None)


def allow(*names: str, by: tuple[str, ...]) -> dict[str, frozenset[str]]:
    """Return a table of callers: each of the services or methods `names` may be called `by` these."""
    return {name: frozenset(by) for name in names}
