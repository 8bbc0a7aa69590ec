"""Calls in bundles, the server's side: one stream a caller, on which every unary method of the server answers.

A bundled call is treated as if it had come alone: it has a task, a deadline, a token and a place in the count of its
own, and is answered as soon as it is done. What is shared is the stream's cost, which is most of what a call costs in
Python (ADR 0007).
"""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import grpc
from grpc import StatusCode

from heliograph.mesh.v1.bundle_service_pb2 import BundledCall, CarryRequest, CarryResponse
from mesh import cancellation
from mesh.errors import HeliographError, ResourceExhausted
from mesh.grpc.calls import BUNDLES, Arrival, CallGuard
from mesh.grpc.status import code_of, details_of
from mesh.grpc.tls import caller_of

BUNDLE_BYTES = 256 * 1024
"""A bundle that has grown to this is sent without more; well below what either side takes as one message."""
MAX_REPLY_BYTES = 8 * 1024 * 1024
"""What callers take as one message."""
OWN_BYTES = 1024
"""More than what a bundle adds to the bytes of one call."""

Bundle = TypeVar("Bundle", CarryRequest, CarryResponse)


class BundleWriter(Generic[Bundle]):
    """Sends bundles one after the other; what comes while one is being sent goes into the next.

    So nothing waits for company, and bundles grow with the load. With `linger_seconds`, the bundle behind one that had
    company is sent so long after it at the soonest: a little latency for far fewer messages of the stream.
    """

    def __init__(
        self, kind: type[Bundle], write: Callable[[Bundle], Awaitable[Any]], *, linger_seconds: float = 0.0
    ) -> None:
        self._kind: type[Bundle] = kind
        self._write: Callable[[Bundle], Awaitable[Any]] = write
        self._linger_seconds = linger_seconds
        self._events = asyncio.get_running_loop()
        self._not_before = 0.0
        """When the next bundle may be sent."""
        self._added = 0
        """What has been added to the bundles that wait."""
        self._waiting: deque[Bundle] = deque()
        self._last_bytes = 0
        self._work: asyncio.Task[None] | None = None

    def open(self, size: int) -> Bundle:
        """Return the bundle to which something of `size` bytes is to be added, at once."""
        if not self._waiting or self._last_bytes + size > BUNDLE_BYTES:
            self._waiting.append(self._kind())
            self._last_bytes = 0
        self._last_bytes += size
        self._added += 1
        if self._work is None:
            self._work = asyncio.create_task(self._send_all(), context=Context())
        return self._waiting[-1]

    async def flush(self) -> None:
        """Return when everything has been sent."""
        while self._work is not None:
            await asyncio.wait([self._work])

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                pause = self._not_before - self._events.time()
                if pause > 0 and len(self._waiting) == 1:
                    await asyncio.sleep(pause)
                had_company, self._added = self._added > 1, 0
                self._not_before = self._events.time() + self._linger_seconds if had_company else 0.0
                await self._write(self._waiting.popleft())
        except (grpc.RpcError, grpc.aio.BaseError, asyncio.InvalidStateError):
            self._waiting.clear()  # the stream has ended; who reads from it learns why
        finally:
            self._work = None


class Bundles:
    """The methods of a server, and the streams on which they are called."""

    def __init__(self, guard: CallGuard, *, linger_seconds: float = 0.0) -> None:
        self._guard = guard
        self._linger_seconds = linger_seconds
        self._handlers: list[grpc.GenericRpcHandler] = []
        self._methods: dict[str, Any] = {}
        self._streams: set[_Stream] = set()
        self._process_name = secrets.token_hex(8)

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register the stream."""
        carry = grpc.stream_stream_rpc_method_handler(
            self._carry, CarryRequest.FromString, CarryResponse.SerializeToString
        )
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(BUNDLES, {"Carry": carry}),))

    def answer(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Answer to the methods of `handlers` too."""
        self._handlers += handlers

    def close(self) -> None:
        """Ask every caller to make no new calls on its stream, and to end it when it has the last answer."""
        for stream in self._streams:
            stream.close()

    def method(self, name: str) -> Any:
        """Return the `grpc.RpcMethodHandler` of a unary method; `None` without one."""
        if name not in self._methods:
            details = _Details(name)
            found = next((one for handler in self._handlers if (one := handler.service(details))), None)
            if found is None or found.unary_unary is None:
                return None
            self._methods[name] = found
        return self._methods[name]

    async def _carry(self, _requests: object, context: Any) -> None:
        stream = _Stream(self, self._guard, context, self._linger_seconds)
        self._streams.add(stream)
        try:
            await stream.serve(self._process_name)
        finally:
            self._streams.discard(stream)


@dataclass(frozen=True, slots=True)
class _Details(grpc.HandlerCallDetails):
    """What a handler is found by."""

    method: str
    invocation_metadata: Any = ()


@dataclass(frozen=True, slots=True)
class _CallContext:
    """What a bundled call's method may ask of its context."""

    until: float

    def time_remaining(self) -> float:
        """Return how many seconds the caller still waits."""
        return max(0.0, self.until - time.monotonic())


class _Stream:
    """The calls of one caller."""

    def __init__(self, bundles: Bundles, guard: CallGuard, context: Any, linger_seconds: float) -> None:
        self._bundles = bundles
        self._guard = guard
        self._context = context
        self._caller = caller_of(context)
        self._writer = BundleWriter(CarryResponse, context.write, linger_seconds=linger_seconds)
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def serve(self, process_name: str) -> None:
        """Take calls until the caller ends the stream, and answer each."""
        self._writer.open(OWN_BYTES).process_name = process_name
        try:
            while (bundle := await self._context.read()) is not grpc.aio.EOF:
                for call in bundle.calls:
                    self._begin(call)
                for number in bundle.cancelled:
                    if (task := self._tasks.get(number)) is not None:
                        task.cancel()
            while self._tasks:
                await asyncio.wait(self._tasks.values())
            await self._writer.flush()
        finally:
            await cancellation.end(self._tasks.values())

    def close(self) -> None:
        """Ask for no new calls."""
        self._writer.open(OWN_BYTES).is_closing = True

    def _begin(self, call: BundledCall) -> None:
        seconds = call.timeout_ms / 1000
        until = time.monotonic() + seconds
        task = asyncio.create_task(self._answer(call, until), context=Context())
        timer = asyncio.get_running_loop().call_later(seconds, task.cancel)
        self._tasks[call.number] = task

        def end(task: asyncio.Task[None]) -> None:
            timer.cancel()
            del self._tasks[call.number]
            if task.cancelled():
                self._writer.open(OWN_BYTES).outcomes.add(
                    number=call.number, code=StatusCode.DEADLINE_EXCEEDED.value[0]
                )

        task.add_done_callback(end)

    async def _answer(self, call: BundledCall, until: float) -> None:
        reply, code, message, details = b"", StatusCode.OK, "", b""
        handler = self._bundles.method(call.method)
        if handler is None:
            code, message = StatusCode.UNIMPLEMENTED, "no such method"
        else:
            try:
                reply = await self._run(handler, call, until)
            except HeliographError as told:
                code, message, details = code_of(told), told.message, details_of(told)
        self._writer.open(len(reply) + OWN_BYTES).outcomes.add(
            number=call.number, reply=reply, code=code.value[0], message=message, details=details
        )

    async def _run(self, handler: Any, call: BundledCall, until: float) -> bytes:
        arrival = Arrival(self._caller, call.traceparent, call.authorization, until)

        async def behavior(request: bytes, context: _CallContext) -> bytes:
            reply = await handler.unary_unary(handler.request_deserializer(request), context)
            data: bytes = handler.response_serializer(reply)
            if len(data) > MAX_REPLY_BYTES - OWN_BYTES:
                raise ResourceExhausted("the reply is too long for one message")
            return data

        data: bytes = await self._guard.run(call.method, arrival, behavior, call.request, _CallContext(until))
        return data
