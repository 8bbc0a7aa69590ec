"""One device's place in its owner's inbox: every entry once, in order, without a hole, or RESYNC.

What is announced is a hint. An entry that follows the last shown one is shown; an older one is dropped; a later one
means a hole, which is filled from the log before anything newer is shown. The order of a start: be announced to,
buffer, replay from the cursor, say "caught up", go on live.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from contextvars import copy_context
from dataclasses import dataclass
from enum import Enum
from typing import Any

import strawberry

from gateway.clients import Clients
from gateway.enums import described
from gateway.live.hub import Hub
from gateway.messages.mailbox import Mailbox, MailboxFull
from heliograph.dm.v1.inbox_pb2 import InboxEntry
from heliograph.dm.v1.inbox_service_pb2 import INBOX_RESYNC_REASON_TOO_OLD, ReplayInboxRequest, ReplayInboxResponse
from mesh import telemetry
from mesh.errors import HeliographError, Unauthenticated

REPLAY_PAGE = 200
QUEUED_EVENTS = 256
"""Events that wait for a device that reads slowly; past that its socket is closed, and its cursor brings all back."""
BUFFERED_ENTRIES = 1_000
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0

_log = telemetry.get_logger(__name__)


@strawberry.enum(name="InboxResyncReason", description="Why a place in the inbox can't be served.")
class ResyncReason(Enum):
    """Why a place in the inbox can't be served."""

    TOO_OLD = described("TOO_OLD", "It is older than what is kept (30 days).")
    BEYOND_HEAD = described("BEYOND_HEAD", "It is of another history of this inbox.")
    CURSOR_INVALID = described("CURSOR_INVALID", "It is not a cursor of this inbox.")


@dataclass(frozen=True, slots=True)
class Arrived:
    """An entry, in its turn."""

    entry: InboxEntry


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """Everything up to this place has been shown; what follows is live."""

    useq: int


@dataclass(frozen=True, slots=True)
class Resync:
    """The place can't be served: read the conversations anew, go on from here."""

    useq: int
    reason: ResyncReason


InboxEvent = Arrived | CaughtUp | Resync


AtOnce = Callable[[Arrived], bool]
"""Shows an event without waiting; `False` when it can't now."""


class SlowReader(Exception):
    """A device does not read what it is sent; its socket is closed with a code that tells it to resume."""


class InboxReader:
    """The events of one device, to be iterated over once."""

    __slots__ = (
        "_at_once",
        "_catching_up",
        "_clients",
        "_context",
        "_events",
        "_failed",
        "_head",
        "_is_idle",
        "_is_started",
        "_shown",
        "_waiting",
    )

    def __init__(self, clients: Clients, at_once: AtOnce | None = None) -> None:
        self._clients = clients
        self._at_once = at_once
        self._is_idle = False
        self._is_started = False
        self._events: Mailbox[InboxEvent | Exception] = Mailbox(QUEUED_EVENTS)
        self._shown = 0
        self._waiting: dict[int, InboxEntry] = {}
        self._head = 0
        self._catching_up: asyncio.Task[None] | None = None
        self._failed = False
        # Announcements and sweeps come from tasks that act for nobody; replays act for the person of this device.
        self._context = copy_context()

    async def events(self) -> AsyncIterator[InboxEvent]:
        """Yield events for ever; `SlowReader` when they are not taken, `Unauthenticated` when the token has expired."""
        while True:
            self._is_idle = True  # whatever was yielded before has been sent
            event = await self._events.get()
            self._is_idle = False
            if isinstance(event, Exception):
                raise event
            yield event

    def start(self, after: int | None, *, invalid: bool) -> None:
        """Begin after a place, at the end when it is `None`; `invalid`: begin at the end with a RESYNC.

        Before it, what is announced is kept and heads are noted: the device's place is not known.
        """
        self._is_started = True
        self._work(self._start(after, invalid=invalid))

    def offer(self, entries: list[InboxEntry]) -> None:
        """Take entries that were announced."""
        for entry in entries:
            if entry.useq <= self._shown:
                continue
            is_live = self._is_started and self._catching_up is None
            if is_live and entry.useq == self._shown + 1 and not self._waiting:
                self._show(entry)
            elif len(self._waiting) < BUFFERED_ENTRIES:
                # What does not fit is not lost: it is behind the head, so the replay brings it.
                self._waiting[entry.useq] = entry
            self._head = max(self._head, entry.useq)
        if self._waiting:
            self._catch_up_soon()

    def compare(self, head_useq: int) -> None:
        """Learn where the inbox ends; catch up when that is further than what was shown."""
        self._head = max(self._head, head_useq)
        if self._head > self._shown:
            self._catch_up_soon()

    async def stop(self) -> None:
        """End the work in the background."""
        if self._catching_up is not None:
            self._catching_up.cancel()
            await asyncio.gather(self._catching_up, return_exceptions=True)

    def _show(self, entry: InboxEntry) -> None:
        self._shown = entry.useq
        if self._failed:
            return
        if self._at_once is not None and self._is_idle and not self._events and self._at_once(Arrived(entry)):
            return
        try:
            self._events.put_at_once(Arrived(entry))
        except MailboxFull:
            self._fail(SlowReader())

    def _fail(self, error: Exception) -> None:
        """Let the iteration end with an error, whatever still waits: the device resumes from its cursor."""
        self._failed = True
        self._events.clear()
        self._events.put_at_once(error)

    def _catch_up_soon(self) -> None:
        if self._is_started and self._catching_up is None and not self._failed:
            self._work(self._catch_up())

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        self._catching_up = asyncio.create_task(work, context=self._context.copy())

    async def _start(self, after: int | None, *, invalid: bool) -> None:
        if after is None:
            reply = await self._replay(None)
            self._shown = reply.head_useq
            if invalid:
                await self._events.put(Resync(self._shown, ResyncReason.CURSOR_INVALID))
        else:
            self._shown = after
        await self._fill()
        await self._events.put(CaughtUp(self._shown))
        await self._catch_up()

    async def _catch_up(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            await self._fill()
            for useq in sorted(self._waiting):
                if useq <= self._shown:
                    del self._waiting[useq]
                elif useq == self._shown + 1:
                    await self._put(self._waiting.pop(useq))
            if not self._waiting and self._head <= self._shown:
                break
            # Announced, but not in the log yet: it is there in a moment.
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE_SECONDS, pause * 2)
        self._catching_up = None

    async def _fill(self) -> None:
        """Show the log from the present place to its end."""
        while True:
            reply = await self._replay(self._shown)
            if reply.resync_reason:
                self._shown = self._head = reply.head_useq
                too_old = reply.resync_reason == INBOX_RESYNC_REASON_TOO_OLD
                reason = ResyncReason.TOO_OLD if too_old else ResyncReason.BEYOND_HEAD
                await self._events.put(Resync(self._shown, reason))
                return
            for entry in reply.entries:
                if entry.useq == self._shown + 1:
                    await self._put(entry)
            if reply.is_caught_up or not reply.entries:
                return

    async def _put(self, entry: InboxEntry) -> None:
        self._shown = entry.useq
        await self._events.put(Arrived(entry))

    async def _replay(self, after: int | None) -> ReplayInboxResponse:
        """Ask until there is an answer: dm_svc may be away for a while, the device stays."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                return await self._clients.inbox.ReplayInbox(
                    ReplayInboxRequest(after_useq=after, page_size=REPLAY_PAGE)
                )
            except Unauthenticated as error:
                self._fail(error)
                await asyncio.Event().wait()  # until `stop`
            except HeliographError as error:
                _log.warning("replay_failed", reason=error.reason)
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE_SECONDS, pause * 2)


@asynccontextmanager
async def opened(
    *, hub: Hub, clients: Clients, user_id: int, after: int | None, invalid: bool, at_once: AtOnce | None = None
) -> AsyncIterator[InboxReader]:
    """Open the inbox of a user for one device. What `at_once` has shown is not among its events."""
    reader = InboxReader(clients, at_once)
    try:
        await hub.open_inbox(user_id, reader)
        reader.start(after, invalid=invalid)
        yield reader
    finally:
        await reader.stop()
        await hub.close_inbox(user_id, reader)
