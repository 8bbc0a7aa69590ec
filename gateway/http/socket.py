"""WebSocket /graphql, by the protocol graphql-transport-ws.

| code | when |
| --- | --- |
| 1012 | this process stops; the reason says after how many milliseconds to come back |
| 1013 | the device reads too slowly; resume with the last cursor |
| 4400 | a message that is not of the protocol |
| 4401 | an operation before the acknowledgement |
| 4403 | no valid token, or it has expired: come back with a fresh one |
| 4406 | another subprotocol |
| 4408 | no connection_init within 5 s |
| 4409 | an id that is in use |
| 4429 | a second connection_init, or messages without end |
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
from aiohttp import ClientConnectionResetError, WSMsgType, web
from graphql import OperationType
from prometheus_client import Gauge

from gateway import errors
from gateway.engine import Caller, Engine, Prepared, RequestRefused
from gateway.http.admission import Admission
from gateway.http.callers import CallerReader
from gateway.http.endpoint import BodyInvalid, request_of
from gateway.http.origins import Origins
from gateway.messages.inbox import SlowReader
from mesh import telemetry
from mesh.auth import set_viewer
from mesh.errors import HeliographError, ResourceExhausted, Unauthenticated

PROTOCOL = "graphql-transport-ws"
MAX_FRAME_BYTES = 64 * 1024
INIT_SECONDS = 5.0
HEARTBEAT_SECONDS = 15.0
SEND_SECONDS = 10.0
CLOSE_SECONDS = 2.0
MAX_OPERATIONS = 20
MAX_ID_LENGTH = 128
MESSAGE_COST = 1
MAX_BUFFERED_BYTES = 64 * 1024

_log = telemetry.get_logger(__name__)
_open = Gauge("gateway_sockets", "Open WebSockets")


class TooManyOperations(ResourceExhausted):
    """A socket has as many operations open as it may have."""

    reason = "TOO_MANY_OPERATIONS"
    message = "too many operations on this socket; complete one first"


class Sockets:
    """The open sockets of this process."""

    def __init__(self, engine: Engine, callers: CallerReader, origins: Origins, admission: Admission) -> None:
        self._engine = engine
        self._admission = admission
        self._callers = callers
        self._origins = origins
        self._open: set[Socket] = set()
        self.draining = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one socket until it is closed."""
        telemetry.adopt(request.headers.get("traceparent"))
        if not self._origins.allows(request):
            return web.Response(status=403, text="this origin is not allowed")
        if self.draining:
            return web.Response(status=503, text="this process stops; connect again", headers={"Retry-After": "1"})
        channel = web.WebSocketResponse(
            protocols=(PROTOCOL,),
            heartbeat=HEARTBEAT_SECONDS,
            max_msg_size=MAX_FRAME_BYTES,
            timeout=CLOSE_SECONDS,
            compress=False,  # it costs 131 KB a socket
        )
        await channel.prepare(request)
        socket = Socket(channel, request, self._engine, self._callers, self._admission)
        self._open.add(socket)
        _open.inc()
        try:
            await socket.run()
        finally:
            self._open.discard(socket)
            _open.dec()
        return channel

    async def drain(self, within_seconds: float) -> None:
        """Close every socket, spread over the time there is, and say when to come back."""
        self.draining = True
        async with asyncio.TaskGroup() as group:
            for socket in list(self._open):
                group.create_task(socket.leave(within_seconds))

    async def check_tokens(self) -> None:
        """Close the sockets whose tokens are valid no more."""
        async with asyncio.TaskGroup() as group:
            for socket in list(self._open):
                if not socket.is_authentic():
                    group.create_task(socket.refuse())
                await asyncio.sleep(0)  # verifying thousands of signatures must not hold the loop


class Socket:
    """One connection: its state, and its operations as tasks."""

    def __init__(
        self,
        channel: web.WebSocketResponse,
        request: web.Request,
        engine: Engine,
        callers: CallerReader,
        admission: Admission,
    ) -> None:
        self._channel = channel
        self._request = request
        self._admission = admission
        self._engine = engine
        self._callers = callers
        self._caller = Caller(None, callers.address(request))
        self._acknowledged = False
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Serve until it is closed, by whichever side."""
        if self._channel.ws_protocol != PROTOCOL:
            await self._close(4406, f"use the subprotocol {PROTOCOL}")
            return
        self._after(INIT_SECONDS, 4408, "connection_init took too long")
        try:
            async for message in self._channel:
                if message.type is not WSMsgType.TEXT:
                    await self._close(4400, "messages are JSON texts")
                elif not await self._take(message.data):
                    break
        finally:
            await self._end()

    async def leave(self, within_seconds: float) -> None:
        """Close at some moment of the given time, so that clients don't all come back at once."""
        await asyncio.sleep(random.uniform(0, within_seconds))  # noqa: S311 - not a secret
        advice = {"reconnectAfterMs": random.randint(100, 5_000)}  # noqa: S311 - not a secret
        await self._close(1012, json.dumps(advice))

    def is_authentic(self) -> bool:
        """Whether the token still verifies."""
        return self._callers.is_valid(self._caller)

    async def refuse(self) -> None:
        """Close the socket of somebody whose token is valid no more."""
        await self._close(4403, "UNAUTHENTICATED: the token is valid no more")

    async def _take(self, text: str) -> bool:
        """Handle a message; `False` when the socket was closed for it."""
        try:
            self._engine.spend(self._caller, MESSAGE_COST)
            message = orjson.loads(text)
        except ResourceExhausted:
            return await self._close(4429, "too many messages")
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            return await self._close(4400, "messages are JSON texts")
        kind = message.get("type") if isinstance(message, dict) else None
        payload = message.get("payload") if isinstance(message, dict) else None
        if kind in ("connection_init", "ping", "pong") and not isinstance(payload, (dict, type(None))):
            return await self._close(4400, "the payload must be an object")
        match kind:
            case "connection_init":
                return await self._init(payload or {})
            case "ping":
                return await self._send({"type": "pong"})
            case "pong":
                return True
            case "subscribe":
                return await self._subscribe(message.get("id"), payload)
            case "complete":
                return await self._complete(message.get("id"))
        return await self._close(4400, "the type of the message is not known")

    async def _init(self, payload: dict[str, Any]) -> bool:
        if self._acknowledged:
            return await self._close(4429, "too many initialisation requests")
        given = next((value for name, value in payload.items() if name.lower() == "authorization"), None)
        authorization = given if given is not None else self._request.headers.get("Authorization")
        try:
            value = authorization if isinstance(authorization, str) else ""
            self._caller = self._callers.caller(value, self._caller.address)
        except Unauthenticated as error:
            return await self._close(4403, f"{error.reason}: {error.message}")
        self._acknowledged = True
        set_viewer(self._caller.viewer)
        if self._caller.viewer is not None:
            left = self._caller.viewer.expires_at - time.time()
            self._after(left, 4403, "UNAUTHENTICATED: the token has expired")
        return await self._send({"type": "connection_ack"})

    async def _subscribe(self, key: Any, payload: Any) -> bool:
        if not isinstance(key, str) or not 0 < len(key) <= MAX_ID_LENGTH or not isinstance(payload, dict):
            return await self._close(4400, "subscribe needs an id and a payload")
        if not self._acknowledged:
            return await self._close(4401, "Unauthorized")
        if key in self._operations:
            return await self._close(4409, "Subscriber for this id already exists")
        if len(self._operations) >= MAX_OPERATIONS:
            refused = errors.refusal(TooManyOperations(max_operations=MAX_OPERATIONS))
            return await self._send({"type": "error", "id": key, "payload": refused["errors"]})
        try:
            request = request_of(payload)
        except BodyInvalid as error:
            return await self._close(4400, error.message)
        telemetry.request_id.set(telemetry.new_request_id())
        try:
            # Before there is a task: to refuse must cost little.
            prepared = self._engine.prepare(request, self._caller, admit=self._admission.admit)
        except Exception as error:
            return await self._tell(key, error)
        task = asyncio.create_task(self._operate(key, prepared))
        self._operations[key] = task
        task.add_done_callback(lambda _: self._forget(key, task))
        return True

    async def _complete(self, key: Any) -> bool:
        if not isinstance(key, str) or not key:
            return await self._close(4400, "complete needs an id")
        if (task := self._operations.pop(key, None)) is not None:
            task.cancel()
        return True

    async def _operate(self, key: str, prepared: Prepared) -> None:
        head, complete = _around_answers(key)
        try:
            if prepared.operation.operation is OperationType.SUBSCRIPTION:
                answers = self._engine.subscribe(prepared, lambda answer: self._write_at_once(head + answer + b"}"))
                await self._stream(head, answers)
            else:
                with self._admission.places(prepared.operation.operation):
                    answer = await self._engine.answer(prepared)
                if self._write_at_once(head + answer + b"}", complete):
                    return
                await self._write(head + answer + b"}")
        except SlowReader:
            await self._close(1013, "reading too slowly; resume with the last cursor")
        except Unauthenticated as error:
            await self._close(4403, f"{error.reason}: {error.message}")
        except Exception as error:
            await self._tell(key, error)
        else:
            await self._write(complete)

    async def _tell(self, key: str, error: Exception) -> bool:
        """Tell why an operation has failed: it must not end the socket, nor show what is not to be seen."""
        if isinstance(error, RequestRefused):
            return await self._send({"type": "error", "id": key, "payload": error.answer["errors"]})
        if not isinstance(error, HeliographError):
            _log.error("operation_failed", exc_info=error)
            error = HeliographError(request_id=telemetry.request_id.get())
        return await self._send({"type": "error", "id": key, "payload": errors.refusal(error)["errors"]})

    async def _stream(self, head: bytes, answers: AsyncIterator[bytes]) -> None:
        async for answer in answers:
            await self._write(head + answer + b"}")
            del answer  # an idle device keeps nothing of what it was sent

    async def _send(self, message: dict[str, Any]) -> bool:
        await self._write(orjson.dumps(message))
        return True

    async def _write(self, text: bytes) -> None:
        """Write a text; a device that takes nothing for 10 s is given up."""
        if self._write_at_once(text):
            return
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._channel.send_frame(text, WSMsgType.TEXT)
        except TimeoutError:
            self._abort()
        except (ClientConnectionResetError, ConnectionError, RuntimeError):
            pass  # the socket is closed; `run` is about to learn of it

    def _write_at_once(self, *texts: bytes) -> bool:
        """Write texts without waiting; `False` when the device has not taken what was written before."""
        transport = self._request.transport
        if transport is None or self._channel.closed or transport.get_write_buffer_size() > MAX_BUFFERED_BYTES:
            return False
        transport.write(b"".join(map(framed, texts)))
        return True

    async def _close(self, code: int, reason: str) -> bool:
        """Close the socket; returns `False`, for `_take`."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS * 2):
                await self._channel.close(code=code, message=reason.encode()[:120])
        except TimeoutError:
            self._abort()
        return False

    def _abort(self) -> None:
        if (transport := self._request.transport) is not None:
            transport.abort()

    def _after(self, seconds: float, code: int, reason: str) -> None:
        """Close the socket after some time, unless it is asked again before."""
        if self._timer is not None:
            self._timer.cancel()

        def close() -> None:
            self._closing = asyncio.ensure_future(self._close_by_timer(code, reason))

        # The loop's clock can't hold more than a few weeks; no socket lives that long.
        self._timer = asyncio.get_running_loop().call_later(min(max(0.0, seconds), 7 * 24 * 3600), close)

    async def _close_by_timer(self, code: int, reason: str) -> None:
        await self._close(code, reason)

    def _forget(self, key: str, task: asyncio.Task[None]) -> None:
        if self._operations.get(key) is task:
            del self._operations[key]

    async def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        tasks = list(self._operations.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _around_answers(key: str) -> tuple[bytes, bytes]:
    """Return what stands before each answer of an operation, and what tells its end."""
    quoted = orjson.dumps(key)  # orjson's bytes hold on to 4 KiB: too much for who waits with a subscription
    return b'{"type":"next","id":' + quoted + b',"payload":', b'{"type":"complete","id":' + quoted + b"}"


def framed(text: bytes) -> bytes:
    """Return a text as one frame of a server (RFC 6455, 5.2): final, not masked, not compressed."""
    size = len(text)
    if size < 126:
        return bytes((0x81, size)) + text
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2) + text
    return b"\x81\x7f" + size.to_bytes(8) + text
