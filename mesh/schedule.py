"""Facts that JetStream publishes at a moment to come, and facts that it stores only once.

A scheduled message waits in its stream on a subject of its own (`schedule_subject` of the event) and appears on the
event's subject at the planned millisecond; one that is overdue, after an outage of the server, appears at once.
Scheduling again replaces what waits. Stored is at least once; `publish_once` refuses what stands there already. NATS
goes by its own clock: `follow` measures how far that is from the clock of whoever plans.

A message alone fires within a millisecond or two. But the server lets 250 ms pass between two firings of a stream
(nats-server 2.15, scheduler.go), and syncs each message by itself: what must be on time in any number is woken some
seconds ahead and published by whoever was woken.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import nats.js.errors
from google.protobuf.message import Message

from mesh.clock import Clock
from mesh.events import Event, event, schedule_subject_of
from mesh.jetstream import JetStream
from mesh.telemetry import get_logger

FOLLOW_SECONDS = 15.0
TOLERANCE = timedelta(milliseconds=5)
"""Differences of the clocks below this can't be told from the time that a request takes."""
_WRONG_LAST_SEQUENCE = 10071
_FIRST_OF_SUBJECT = {"Nats-Expected-Last-Subject-Sequence": "0"}

_log = get_logger(__name__)


class Schedule:
    """The scheduled messages of one stream, which must be declared with `allow_msg_schedules` and `allow_atomic`."""

    def __init__(self, jetstream: JetStream, stream: str, clock: Clock) -> None:
        """`clock` is the one that the planned moments are of."""
        self._jetstream = jetstream
        self._stream = stream
        self._clock = clock
        self._ahead = timedelta(0)

    async def plan(self, fact: Message, moment: datetime) -> None:
        """Have `fact` published at `moment`; safe to repeat."""
        planned = event(fact)
        at = (moment + self._ahead).astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        await self._jetstream.publish(
            schedule_subject_of(fact),
            planned.payload,
            headers={"Nats-Schedule": f"@at {at}", "Nats-Schedule-Target": planned.subject},
        )

    async def publish_once(self, facts: Sequence[Message]) -> int:
        """Publish those of the facts whose subject holds no message yet; return how many did not.

        They go as one batch with one sync; only when the stream refuses it, because one of them is there already,
        each goes by itself.
        """
        events = [event(fact) for fact in facts]
        if len(events) > 1 and await self._publish_together(events):
            return len(events)
        published = await asyncio.gather(*(self._publish_one(one) for one in events))
        return sum(published)

    async def follow(self) -> None:
        """Measure how far the clock of NATS is ahead of ours."""
        before = self._clock.now()
        report = await self._jetstream.raw_request(f"$JS.API.STREAM.INFO.{self._stream}", {})
        after = self._clock.now()
        shown = datetime.fromisoformat(report["ts"])
        ahead = shown - (before + (after - before) / 2)
        if abs(ahead) < TOLERANCE + (after - before) / 2:
            ahead = timedelta(0)
        if abs(ahead - self._ahead) > timedelta(seconds=1):
            _log.warning("clock_of_nats_differs", ahead_seconds=ahead.total_seconds())
        self._ahead = ahead

    async def _publish_together(self, events: Sequence[Event]) -> bool:
        try:
            await self._jetstream.publish_batch([(one.subject, one.payload, _FIRST_OF_SUBJECT) for one in events])
        except nats.js.errors.BadRequestError:
            return False
        return True

    async def _publish_one(self, one: Event) -> bool:
        try:
            await self._jetstream.publish(one.subject, one.payload, headers=_FIRST_OF_SUBJECT)
        except nats.js.errors.BadRequestError as error:
            if error.err_code != _WRONG_LAST_SEQUENCE:
                raise
            return False
        return True
