"""The transactional outbox: rows and events have one commit point.

`add` writes the event in the transaction of the rows. A `Relay` (any number may run) publishes what is committed
and removes a row only after JetStream's acknowledgement. A crash in between publishes again with the same message
id, which JetStream stores once within its dedup window; consumers are idempotent beyond it. Order is kept for
events that were committed one after the other and published by one relay; consumers don't rely on it. An event that
can't be published (its stream is missing, it is too large) stays, is tried again, and holds up no other.
"""

import asyncio
from dataclasses import dataclass
from uuid import UUID

from prometheus_client import Gauge

from mesh import queries
from mesh.events import Event
from mesh.jetstream import JetStream
from mesh.postgres import Connection, Postgres
from mesh.telemetry import brief, get_logger

COMPONENT = "mesh.outbox"
"""Name of the table's migrations."""

BATCH = 500
IDLE_SECONDS = 0.25
"""How late an event can be when the wake-up hint was lost."""
RETRY_SECONDS = 0.5
PUBLISH_SECONDS = 2.0
"""How long a batch may wait for acknowledgements with its rows locked; what is not acknowledged then is tried again."""

_QUERIES = queries.load(__package__)
_log = get_logger(__name__)
_waiting = Gauge("outbox_waiting_events", "Committed events that are not yet published")
_oldest = Gauge("outbox_oldest_seconds", "Age of the oldest unpublished event")


@dataclass(frozen=True, slots=True)
class _Row:
    outbox_id: int
    message_id: UUID
    subject: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class _Lag:
    waiting: int
    oldest_seconds: float


async def add(connection: Connection, *events: Event) -> None:
    """Write events in the caller's transaction; call `Wakeup.hint` after it has committed."""
    await _QUERIES["add"].run_many(
        connection, [{"subject": event.subject, "payload": event.payload} for event in events]
    )


class Wakeup:
    """Tells the relays of a service, which may be other processes, that something waits. Best effort."""

    def __init__(self, jetstream: JetStream, service: str) -> None:
        self._jetstream = jetstream
        self._subject = f"mesh.outbox.{service}"

    async def hint(self) -> None:
        """Wake the relays; lost when NATS is away, and then they look by themselves soon."""
        await self._jetstream.tell(self._subject, b"")

    async def listen(self, event: asyncio.Event) -> None:
        """Set `event` at every hint."""
        await self._jetstream.hear(self._subject, lambda _: event.set())


class Relay:
    """Publishes committed events until it is cancelled."""

    def __init__(self, *, postgres: Postgres, jetstream: JetStream, wakeup: Wakeup) -> None:
        self._postgres = postgres
        self._jetstream = jetstream
        self._wakeup = wakeup
        self._behind = 0

    async def run(self) -> None:
        """Publish as events come; on trouble log it, wait, and try again: rows stay until they are published."""
        woken = asyncio.Event()
        await self._wakeup.listen(woken)
        while True:
            woken.clear()
            try:
                published = await self.publish_batch()
            except Exception:  # the loop must outlive any trouble of Postgres
                _log.exception("outbox_relay_failed")
                await asyncio.sleep(RETRY_SECONDS)
                continue
            has_more = published == BATCH or self._behind > 0
            if not (published and has_more):
                await _wait(woken, IDLE_SECONDS)

    async def publish_batch(self) -> int:
        """Publish up to `BATCH` events and return how many were; those that can't be stay, in nobody's way."""
        async with self._postgres.transaction() as connection:
            rows = await _QUERIES["take"].all(connection, _Row, behind=self._behind, limit=BATCH)
            failures = await self._publish(rows)
            published = [row.outbox_id for row in rows if row.outbox_id not in failures]
            if published:
                await _QUERIES["remove"].run(connection, outbox_ids=published)
        if failures:
            first = next(iter(failures.values()))
            _log.warning("outbox_events_not_published", events=len(failures), first=brief(first.__cause__ or first))
        # Whatever failed would fill the next batch too: look behind it, and begin from the front when all went through.
        self._behind = rows[-1].outbox_id if failures and len(rows) == BATCH else 0
        return len(published)

    async def _publish(self, rows: list[_Row]) -> dict[int, Exception]:
        """Publish all at once; return what kept those from it that failed."""
        failures: dict[int, Exception] = {}

        async def publish(row: _Row) -> None:
            try:
                async with asyncio.timeout_at(end):
                    await self._jetstream.publish(row.subject, row.payload, message_id=str(row.message_id))
            except Exception as error:  # whatever it is, the others go their way
                failures[row.outbox_id] = error

        end = asyncio.get_running_loop().time() + PUBLISH_SECONDS
        async with asyncio.TaskGroup() as group:
            for row in rows:
                group.create_task(publish(row))
        return failures

    async def measure(self) -> None:
        """Set the lag metrics."""
        async with self._postgres.read() as connection:
            lag = await _QUERIES["lag"].one(connection, _Lag)
        if lag is not None:
            _waiting.set(lag.waiting)
            _oldest.set(lag.oldest_seconds)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
