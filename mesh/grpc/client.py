"""Channels to other services.

A stub over such a channel raises errors of `mesh.errors`, passes on the person's token, the request id and what is
left of the deadline, and retries calls whose method says in its proto that they may be repeated, within a budget.
Balancing is round-robin over all addresses of the name.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from grpc.aio import AioRpcError, Metadata
from prometheus_client import Counter, Histogram

from mesh import auth, telemetry
from mesh.errors import DeadlineExceeded, HeliographError, Unavailable
from mesh.grpc.bundles import MAX_REPLY_BYTES
from mesh.grpc.calls import deadline
from mesh.grpc.lanes import Lane, LaneLost, Lanes
from mesh.grpc.status import error_from, error_of
from mesh.grpc.tls import KEEPALIVE, Credentials

DEFAULT_SECONDS = 2.0
"""How long a call may take when nobody upstream set a shorter deadline."""
HOP_SECONDS = 0.005
"""What a hop keeps of its caller's deadline for its own work."""
MAX_TOKENS = 20
TOKENS_FOR_SUCCESS = 0.5

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
    linger_seconds: float = 0.0,
) -> AsyncIterator[grpc.aio.Channel]:
    """Open a channel to `address` (any gRPC name: host:port, dns:///name:port), which must prove to be
    `server_name`.

    `linger_seconds`: how long after others calls wait for more, while they come in company (`BundleWriter`).
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
    carrying = CarryingChannel(
        channel, default_seconds, repeatable=_repeatable(services), linger_seconds=linger_seconds
    )
    try:
        yield carrying
    finally:
        await carrying.close()


def service_config(services: Sequence[ServiceDescriptor]) -> dict[str, Any]:
    """Return gRPC's service config: balancing, and retries of the methods whose proto allows to repeat them.

    Four attempts at most, and a budget: when more than every second call fails, retries stop (measured: 50 failing
    calls became 53 attempts instead of 200).
    """
    repeatable = [
        {"service": service, "method": method}
        for service, _, method in (name[1:].partition("/") for name in sorted(_repeatable(services)))
    ]
    config: dict[str, Any] = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "retryThrottling": {"maxTokens": MAX_TOKENS, "tokenRatio": TOKENS_FOR_SUCCESS},
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


def _repeatable(services: Sequence[ServiceDescriptor]) -> frozenset[str]:
    """Return the full names of the methods whose proto allows to repeat them."""
    return frozenset(
        f"/{service.full_name}/{method.name}"
        for service in services
        for method in service.methods
        if method.GetOptions().idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN
    )


class Budget:
    """How many calls may be repeated: gRPC's own rule for retries, for what it can't see."""

    def __init__(self) -> None:
        self._tokens = float(MAX_TOKENS)

    def note(self, *, succeeded: bool) -> None:
        """Count a call."""
        self._tokens = min(MAX_TOKENS, self._tokens + TOKENS_FOR_SUCCESS) if succeeded else max(0, self._tokens - 1)

    @property
    def allows(self) -> bool:
        """Whether one more may be repeated."""
        return self._tokens > MAX_TOKENS / 2


class CarryingChannel(grpc.aio.Channel):
    """A channel whose unary calls bear what travels with them, share streams, and raise errors of `mesh.errors`.

    A wrapper instead of gRPC's own interceptor, which makes a task and two call objects more for each call: that took a
    quarter of its time. What a stub returns can be awaited, and nothing else.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        default_seconds: float = DEFAULT_SECONDS,
        *,
        repeatable: frozenset[str],
        linger_seconds: float = 0.0,
    ) -> None:
        self._channel = channel
        self._default_seconds = default_seconds
        self._repeatable = repeatable
        self._lanes = Lanes(channel, linger_seconds=linger_seconds)
        self._budget = Budget()

    def unary_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        *arguments: Any,
        **options: Any,
    ) -> Any:
        """Return a callable for a unary method."""
        call = self._channel.unary_unary(method, request_serializer, response_deserializer, *arguments, **options)
        if method.startswith("/grpc."):  # gRPC's own services are asked alone: their answer is about the connection
            return _Carried(method, call, self._default_seconds).call
        bundled = _Bundled(
            method,
            request_serializer,
            response_deserializer,
            self._lanes,
            self._budget,
            may_repeat=method in self._repeatable,
        )
        return _Carried(method, call, self._default_seconds, bundled).call

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
        await self._lanes.close()
        await self._channel.close(grace)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()


class _Bundled:
    """A unary method by way of lanes."""

    __slots__ = ("_budget", "_deserialize", "_lanes", "_may_repeat", "_method", "_serialize")

    def __init__(
        self, method: str, serialize: Any, deserialize: Any, lanes: Lanes, budget: Budget, *, may_repeat: bool
    ) -> None:
        self._method = method
        self._serialize = serialize
        self._deserialize = deserialize
        self._lanes = lanes
        self._budget = budget
        self._may_repeat = may_repeat

    async def call(self, request: Any, seconds: float) -> Any:
        """Return the reply; `None` when the call is to be made alone: without a lane, or once more after a failure.

        When the process is lost or falls silent, and the call may be repeated, another is asked, once.
        """
        data = self._serialize(request)
        until = time.monotonic() + seconds
        for is_first in (True, False):
            if (lane := self._lanes.pick(len(data))) is None:
                return None
            try:
                return await self._over(lane, data, until, may_move=is_first and self._may_repeat)
            except LaneLost as lost:
                if lost.was_sent and not self._may_repeat:
                    raise
            except Unavailable:
                self._budget.note(succeeded=False)
                if self._may_repeat and self._budget.allows:
                    return None
                raise
        return None

    async def _over(self, lane: Lane, data: bytes, until: float, *, may_move: bool) -> Any:
        person = auth.current_viewer()
        outcome = await lane.call(
            self._method,
            data,
            seconds=until - time.monotonic(),
            traceparent=telemetry.traceparent(),
            authorization=f"Bearer {person.token}" if person is not None else "",
            may_move=may_move,
        )
        if outcome.code:
            raise error_from(outcome.code, outcome.message, outcome.details)
        self._budget.note(succeeded=True)
        return self._deserialize(outcome.reply)


class _Carried:
    """A unary method."""

    __slots__ = ("_bundled", "_call", "_default_seconds", "_method", "_ok", "_seconds")

    def __init__(self, method: str, call: Any, default_seconds: float, bundled: _Bundled | None = None) -> None:
        self._method = method
        self._call = call
        self._bundled = bundled
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
            seconds = _seconds_left(timeout or self._default_seconds)
            reply = None
            if self._bundled is not None and metadata is None and not options:
                reply = await self._bundled.call(request, seconds)
            if reply is None:
                seconds += started - time.monotonic()
                reply = await self._alone(request, seconds, metadata, options)
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

    async def _alone(
        self,
        request: Any,
        seconds: float,
        metadata: Iterable[tuple[str, str | bytes]] | None,
        options: Mapping[str, Any],
    ) -> Any:
        # A ready `Metadata`: to look at a tuple, grpcio asks an abstract class each time.
        return await self._call(
            request, timeout=seconds, metadata=Metadata(*(metadata or ()), *_travelling()), **options
        )


def _outcome(failure: BaseException) -> str:
    match failure:
        case AioRpcError():
            return failure.code().name
        case HeliographError():  # told in a bundle, or no time was left to call at all
            return failure.status
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
