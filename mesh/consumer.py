"""A consume loop over a durable consumer, with an explicit outcome for each message.

`handle` returns `Done()`, `Retry(after_seconds)` or `DeadLetter(reason)`. An exception is logged and retried with
growing pauses. After `max_deliveries` a message goes to the stream DEAD_LETTERS, with where it came from, and is
never dropped in silence. While `handle` works, the server is told so, and does not deliver the message to another
worker.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, RetentionPolicy, StorageType, StreamConfig
from prometheus_client import Counter

from mesh.jetstream import RECONNECT_WAIT_SECONDS, JetStream, MessagingUnavailable, Received, read
from mesh.telemetry import get_logger

DEAD_LETTERS = StreamConfig(
    name="DEAD_LETTERS",
    subjects=["dead.>"],
    storage=StorageType.FILE,
    retention=RetentionPolicy.LIMITS,
    max_age=30 * 24 * 3600,
)
"""Messages that no retry could help, for 30 days; the subject is `dead.<stream>.<durable>`."""

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 30.0

_log = get_logger(__name__)
_outcomes = Counter("consumer_messages", "Messages by outcome", ["durable", "outcome"])


@dataclass(frozen=True, slots=True)
class Done:
    """Handled: forget the message."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Deliver it again, not before so many seconds."""

    after_seconds: float


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """No retry can help: keep it aside, with the reason."""

    reason: str


Outcome = Done | Retry | DeadLetter
Handler = Callable[[Received], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Consumer:
    """One durable consumer and what is done with its messages; any number of processes may run it side by side."""

    jetstream: JetStream
    stream: str
    durable: str
    handle: Handler
    subjects: tuple[str, ...] = ()
    """Only these subjects of the stream; all when empty."""
    concurrency: int = 16
    ack_wait_seconds: float = 30.0
    max_deliveries: int = 8

    async def run(self) -> None:
        """Consume until cancelled; a lost connection or consumer is opened again."""
        await self.jetstream.declare_stream(DEAD_LETTERS)
        while True:
            try:
                await self._run_once()
            except MessagingUnavailable as error:
                _log.warning("consumer_reset", durable=self.durable, cause=repr(error.__cause__ or error))
                await asyncio.sleep(RECONNECT_WAIT_SECONDS)

    async def _run_once(self) -> None:
        name = await self.jetstream.ensure_consumer(
            self.stream,
            ConsumerConfig(
                durable_name=self.durable,
                filter_subjects=list(self.subjects) or None,
                ack_wait=self.ack_wait_seconds,
                # Poison is set aside here, with a trace; the server's own limit would drop it in silence.
                max_deliver=-1,
                max_ack_pending=10_000,
            ),
        )
        places = asyncio.Semaphore(self.concurrency)
        async with (
            self.jetstream.pull_from(self.stream, name, batch=self.concurrency) as pull,
            asyncio.TaskGroup() as group,
        ):
            async for messages in pull.batches():
                for message in messages:
                    await places.acquire()
                    task = group.create_task(self._settle(message))
                    task.add_done_callback(lambda _: places.release())

    async def _settle(self, message: Msg) -> None:
        received = read(message)
        try:
            outcome = await self._outcome(message, received)
            if isinstance(outcome, DeadLetter):
                await self._set_aside(received, outcome.reason)
            if isinstance(outcome, Retry):
                await message.nak(delay=outcome.after_seconds)
            else:
                await message.ack()
            _outcomes.labels(self.durable, type(outcome).__name__).inc()
        except Exception as error:  # not settled: the server delivers it again after ack_wait
            _log.warning("settle_failed", durable=self.durable, error=repr(error))

    async def _outcome(self, message: Msg, received: Received) -> Outcome:
        beat = asyncio.create_task(self._keep_claimed(message))
        try:
            outcome = await self.handle(received)
        except Exception:  # whatever a handler raises is retried, and visible
            _log.exception("handler_failed", durable=self.durable, subject=received.subject)
            outcome = Retry(pause_after(received.deliveries))
        finally:
            beat.cancel()
        if isinstance(outcome, Retry) and received.deliveries >= self.max_deliveries:
            return DeadLetter(f"still failing after {received.deliveries} deliveries")
        return outcome

    async def _keep_claimed(self, message: Msg) -> None:
        while True:
            await asyncio.sleep(self.ack_wait_seconds / 3)
            await message.in_progress()

    async def _set_aside(self, received: Received, reason: str) -> None:
        _log.error("dead_letter", durable=self.durable, subject=received.subject, reason=reason)
        await self.jetstream.publish(
            f"dead.{self.stream}.{self.durable}",
            received.payload,
            message_id=f"{self.stream}.{self.durable}.{received.stream_sequence}",
            headers={"Dead-Subject": received.subject, "Dead-Reason": reason},
        )


def pause_after(deliveries: int) -> float:
    """Return the pause in seconds after so many deliveries: 0.2, 0.4, 0.8 ... at most 30."""
    return float(min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (deliveries - 1)))
