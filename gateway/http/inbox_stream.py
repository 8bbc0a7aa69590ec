"""GET /inbox: the inbox as Server-Sent Events, for clients without WebSocket.

    GET /inbox                          from now on
    GET /inbox?after=<cursor>           from behind an event
    Last-Event-ID: <cursor>             the same, as a browser sends it when it comes again; it wins over `after`

Each event has its cursor as `id` and an answer of GraphQL as `data`, that of `DOCUMENT`: it is the subscription `inbox`
itself, carried out by the same engine, with the same log, order, limits and refusals. A comment every 15 s keeps
proxies from closing the stream. The stream ends when the token expires or an event can't be told whole (after `event:
closing`, with the reason), when the device reads too slowly, and when this process stops; who comes again resumes.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Final

import orjson
from aiohttp import web
from graphql import OperationType
from prometheus_client import Gauge

from gateway import errors
from gateway.engine import Caller, Engine, Prepared, Request, RequestRefused
from gateway.http.callers import CallerReader
from gateway.http.origins import Origins
from gateway.messages.inbox import SlowReader
from mesh import telemetry
from mesh.auth import set_viewer
from mesh.errors import HeliographError, Internal, ResourceExhausted, Unauthenticated

DOCUMENT: Final = """subscription Inbox($after: String) {
  inbox(after: $after) {
    __typename
    ... on InboxItem { cursor }
    ... on MessageReceived {
      message {
        id conversationId number content photoUrl blurhash sentAt clientMessageId
        sender { id username displayName }
      }
    }
    ... on ConversationRead { conversationId upToNumber unreadCount reader { id } }
    ... on MessageUnsent { conversationId messageId number }
    ... on MessageRequestDecided { conversationId accepted }
    ... on InboxResync { reason }
  }
}"""
"""What the stream yields; trusted by every gateway, also where only registered documents are executed."""

PATH = "/inbox"
EVENT_STREAM = "text/event-stream"
METHODS = "GET, OPTIONS"
HEARTBEAT_SECONDS = 15.0
WRITE_SECONDS = 10.0
RETRY_MS = (500, 3_000)
"""From when to when clients come again by themselves: spread, so that they don't come all at once."""
LONGEST_SECONDS = 7 * 24 * 3600.0
"""The loop's clock can't hold more than a few weeks; no stream lives that long."""

_log = telemetry.get_logger(__name__)
_open = Gauge("gateway_event_streams", "Open streams of Server-Sent Events")


class InboxStreams:
    """The open streams of this process."""

    def __init__(self, engine: Engine, callers: CallerReader, origins: Origins) -> None:
        self._engine = engine
        self._callers = callers
        self._origins = origins
        self._open: dict[asyncio.Event, Caller] = {}
        self._draining = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one stream until it ends."""
        telemetry.adopt(request.headers.get("traceparent"))
        if not self._origins.allows(request):
            return web.Response(status=403, text="this origin is not allowed")
        if request.method == "OPTIONS":
            return self._origins.preflight(request, METHODS)
        if request.method != "GET":
            return web.Response(status=405, text="use GET", headers={"Allow": METHODS})
        if self._draining:
            return web.Response(status=503, text="this process stops; connect again", headers={"Retry-After": "1"})
        try:
            caller = self._admitted(request)
            prepared = self._prepared(request, caller)
        except Unauthenticated as error:
            return self._refused(request, 401, errors.refusal(error), **{"WWW-Authenticate": "Bearer"})
        except RequestRefused as refused:
            status = 429 if refused.code == ResourceExhausted.reason else 400
            return self._refused(request, status, refused.answer)
        return await self._served(request, prepared, caller)

    async def drain(self, within_seconds: float) -> None:
        """End every stream, spread over the time there is."""
        self._draining = True
        streams = list(self._open)
        for at, leave in enumerate(streams):
            leave.set()
            await asyncio.sleep(within_seconds / len(streams) if at < len(streams) - 1 else 0)

    async def check_tokens(self) -> None:
        """End the streams whose tokens are valid no more; who comes again is told why."""
        for leave, caller in list(self._open.items()):
            if not self._callers.is_valid(caller):
                leave.set()
            await asyncio.sleep(0)  # verifying thousands of signatures must not hold the loop

    def _admitted(self, request: web.Request) -> Caller:
        caller = self._callers.read(request)
        if caller.viewer is None:
            raise Unauthenticated
        return caller

    def _prepared(self, request: web.Request, caller: Caller) -> Prepared:
        after = request.headers.get("Last-Event-ID") or request.query.get("after") or None
        return self._engine.prepare(
            Request(DOCUMENT, variables={"after": after}), caller, allowed=(OperationType.SUBSCRIPTION,)
        )

    async def _served(self, request: web.Request, prepared: Prepared, caller: Caller) -> web.StreamResponse:
        answer = web.StreamResponse(
            headers={
                "Content-Type": EVENT_STREAM,
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",  # else nginx keeps events until it has a page of them
                "X-Content-Type-Options": "nosniff",
            }
        )
        self._origins.mark(request, answer)
        await answer.prepare(request)
        leave = asyncio.Event()
        self._open[leave] = caller
        _open.inc()
        try:
            await self._write_all(request, answer, prepared, caller, leave)
        finally:
            del self._open[leave]
            _open.dec()
        return answer

    async def _write_all(
        self,
        request: web.Request,
        answer: web.StreamResponse,
        prepared: Prepared,
        caller: Caller,
        leave: asyncio.Event,
    ) -> None:
        set_viewer(caller.viewer)
        stream = _Stream(request, answer)
        await stream.write(b"retry: %d\n\n" % random.randint(*RETRY_MS))  # noqa: S311 - not a secret
        events = asyncio.create_task(_copy(self._engine.subscribe(prepared), stream))
        leaving = asyncio.create_task(leave.wait())
        beat = asyncio.create_task(stream.beat())
        left = caller.viewer.expires_at - time.time() if caller.viewer else 0.0
        try:
            await asyncio.wait(
                {events, leaving, beat},
                timeout=min(max(left, 0.0), LONGEST_SECONDS),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if events.done() and (error := events.exception()) is not None:
                await stream.close(error)
            elif not (events.done() or leaving.done() or beat.done()):
                await stream.close(Unauthenticated("the token has expired"))
        finally:
            for task in (events, leaving, beat):
                task.cancel()
            await asyncio.gather(events, leaving, beat, return_exceptions=True)

    def _refused(
        self, request: web.Request, status: int, body: dict[str, object], **headers: str
    ) -> web.StreamResponse:
        answer = web.Response(
            status=status,
            body=orjson.dumps(body),
            headers={"Content-Type": "application/json", "Cache-Control": "no-store", **headers},
        )
        self._origins.mark(request, answer)
        return answer


class _Stream:
    """One response that is written bit by bit."""

    def __init__(self, request: web.Request, answer: web.StreamResponse) -> None:
        self._request = request
        self._answer = answer

    async def write(self, text: bytes) -> None:
        """Write a text; `SlowReader` when a device takes nothing for 10 s."""
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await self._answer.write(text)
        except TimeoutError:
            if (transport := self._request.transport) is not None:
                transport.abort()
            raise SlowReader from None

    async def beat(self) -> None:
        """Write a comment now and then: proxies see life, and a device that vanished is noticed."""
        with suppress(SlowReader, ConnectionError):
            while True:
                await asyncio.sleep(HEARTBEAT_SECONDS)
                await self.write(b":\n\n")

    async def close(self, error: BaseException) -> None:
        """Say why the stream ends, as far as it is the client's business."""
        if isinstance(error, (SlowReader, ConnectionError)):
            return  # it does not read, or is gone
        if not isinstance(error, HeliographError):
            _log.error("inbox_stream_failed", exc_info=error)
            error = Internal(request_id=telemetry.request_id.get())
        with suppress(SlowReader, ConnectionError):
            await self.write(b"event: closing\ndata: %b\n\n" % orjson.dumps(errors.refusal(error)))


async def _copy(answers: AsyncIterator[bytes], stream: _Stream) -> None:
    async with aclosing(answers):  # type: ignore[type-var]  # a generator, as `subscribe` is written
        async for answer in answers:
            event = (orjson.loads(answer).get("data") or {}).get("inbox")
            if event is None:
                # A part of it could not be had, so it has no cursor, and the next one's would leap over it.
                await stream.write(b"event: closing\ndata: %b\n\n" % answer)
                return
            # JSON of one line, so it is one line of data.
            await stream.write(b"id: %b\ndata: %b\n\n" % (event["cursor"].encode(), answer))
