"""Channels to other services.

A stub over such a channel raises errors of `mesh.errors`, passes on the person's token, the request id and what is
left of the deadline, and retries calls whose method says in its proto that they may be repeated, within a budget.
Balancing is round-robin over all addresses of the name.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from grpc.aio import AioRpcError, Metadata
from prometheus_client import Counter, Histogram

from mesh import auth, telemetry
from mesh.errors import DeadlineExceeded
from mesh.grpc.calls import deadline
from mesh.grpc.status import error_of
from mesh.grpc.tls import KEEPALIVE, Credentials

DEFAULT_SECONDS = 2.0
"""How long a call may take when nobody upstream set a shorter deadline."""
HOP_SECONDS = 0.005
"""What a hop keeps of its caller's deadline for its own work."""
MAX_REPLY_BYTES = 8 * 1024 * 1024

_handled = Counter("grpc_client_handled", "Finished calls to other services", ["method", "code"])
_seconds = Histogram(
    "grpc_client_handling_seconds",
    "Time of calls to other services, retries included",
    ["method"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


@asynccontextmanager
async def connect(
    address: str,
    *,
    server_name: str,
    services: Sequence[ServiceDescriptor],
    credentials: Credentials,
    default_seconds: float = DEFAULT_SECONDS,
) -> AsyncIterator[grpc.aio.Channel]:
    """Open a channel to `address` (any gRPC name: host:port, dns:///name:port), which must prove to be
    `server_name`.
    """
    channel = grpc.aio.secure_channel(
        address,
        credentials.channel(),
        options=[
            ("grpc.ssl_target_name_override", server_name),
            ("grpc.service_config", json.dumps(service_config(services))),
            ("grpc.enable_retries", 1),
            ("grpc.max_receive_message_length", MAX_REPLY_BYTES),
            *KEEPALIVE,
            # A server that was away must be found again soon: the default backs off to two minutes.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1_000),
            # How long one attempt to connect may take, in spite of its name; a TLS handshake needs CPU on both sides.
            ("grpc.min_reconnect_backoff_ms", 2_000),
        ],
    )
    try:
        yield CarryingChannel(channel, default_seconds)
    finally:
        await channel.close()


def service_config(services: Sequence[ServiceDescriptor]) -> dict[str, Any]:
    """Return gRPC's service config: balancing, and retries of the methods whose proto allows to repeat them.

    Four attempts at most, and a budget: when more than every second call fails, retries stop (measured: 50 failing
    calls became 53 attempts instead of 200).
    """
    repeatable = [
        {"service": service.full_name, "method": method.name}
        for service in services
        for method in service.methods
        if method.GetOptions().idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN
    ]
    config: dict[str, Any] = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "retryThrottling": {"maxTokens": 20, "tokenRatio": 0.5},
    }
    if repeatable:
        config["methodConfig"] = [
            {
                "name": repeatable,
                "retryPolicy": {
                    "maxAttempts": 4,
                    "initialBackoff": "0.02s",
                    "maxBackoff": "0.5s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    return config


class CarryingChannel(grpc.aio.Channel):
    """A channel whose unary calls bear what travels with them, and raise errors of `mesh.errors`.

    A wrapper instead of gRPC's own interceptor, which makes a task and two call objects more for each call: that took a
    quarter of its time. What a stub returns can be awaited, and nothing else.
    """

    def __init__(self, channel: grpc.aio.Channel, default_seconds: float = DEFAULT_SECONDS) -> None:
        self._channel = channel
        self._default_seconds = default_seconds

    def unary_unary(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Return a callable for a unary method."""
        call = self._channel.unary_unary(method, *arguments, **options)
        return _Carried(method, call, self._default_seconds).call

    def unary_stream(self, *arguments: Any, **options: Any) -> Any:
        """Return the plain callable."""
        return self._channel.unary_stream(*arguments, **options)

    def stream_unary(self, *arguments: Any, **options: Any) -> Any:
        """Return the plain callable."""
        return self._channel.stream_unary(*arguments, **options)

    def stream_stream(self, *arguments: Any, **options: Any) -> Any:
        """Return the plain callable."""
        return self._channel.stream_stream(*arguments, **options)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Return how the connection stands."""
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Return when the connection stands otherwise."""
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Return when it is connected."""
        await self._channel.channel_ready()

    async def close(self, grace: float | None = None) -> None:
        """Close it."""
        await self._channel.close(grace)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()


class _Carried:
    """A unary method."""

    __slots__ = ("_call", "_default_seconds", "_method", "_ok", "_seconds")

    def __init__(self, method: str, call: Any, default_seconds: float) -> None:
        self._method = method
        self._call = call
        self._default_seconds = default_seconds
        self._ok = _handled.labels(method, "OK")
        self._seconds = _seconds.labels(method)

    async def call(
        self,
        request: Any,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - gRPC's own word for the deadline of a call
        metadata: Iterable[tuple[str, str | bytes]] | None = None,
        **options: Any,
    ) -> Any:
        started = time.monotonic()
        try:
            reply = await self._call(
                request,
                timeout=_seconds_left(timeout or self._default_seconds),
                # A ready `Metadata`: to look at a tuple, grpcio asks an abstract class each time.
                metadata=Metadata(*(metadata or ()), *_travelling()),
                **options,
            )
        except BaseException as failure:
            _handled.labels(self._method, _outcome(failure)).inc()
            if isinstance(failure, AioRpcError):
                raise error_of(failure) from failure
            raise
        else:
            self._ok.inc()
            return reply
        finally:
            self._seconds.observe(time.monotonic() - started)


def _outcome(failure: BaseException) -> str:
    match failure:
        case AioRpcError():
            return failure.code().name
        case DeadlineExceeded():  # no time was left to call at all
            return "DEADLINE_EXCEEDED"
        case asyncio.CancelledError():
            return "CANCELLED"
    return "UNKNOWN"


def _seconds_left(wanted: float) -> float:
    until = deadline.get()
    if until is None:
        return wanted
    left = until - time.monotonic() - HOP_SECONDS
    if left <= 0:
        raise DeadlineExceeded
    return min(wanted, left)


def _travelling() -> Iterator[tuple[str, str]]:
    yield "traceparent", telemetry.traceparent()
    if (person := auth.current_viewer()) is not None:
        yield "authorization", f"Bearer {person.token}"
