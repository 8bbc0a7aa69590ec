"""A consume loop over a durable consumer, with an explicit outcome for each message.

`handle` returns `Done()`, `Retry(after_seconds)` or `DeadLetter(reason)`. An exception is logged and retried with
growing pauses. After `max_deliveries` a message goes to the stream DEAD_LETTERS, with where it came from, and is
never dropped in silence. While `handle` works, the server is told so, and does not deliver the message to another
worker.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import nats.errors
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
        """Consume until cancelled; a lost connection or consumer is opened again.

        Handlers in flight outlive a lost connection. When cancelled, what was taken and not handled is given back, so
        that another process has it at once instead of after `ack_wait_seconds`.
        """
        places = asyncio.Semaphore(self.concurrency)
        async with asyncio.TaskGroup() as handlers:
            while True:
                try:
                    await self._take_until_lost(handlers, places)
                except MessagingUnavailable as error:
                    _log.warning("consumer_reset", durable=self.durable, cause=repr(error.__cause__ or error))
                    await asyncio.sleep(RECONNECT_WAIT_SECONDS)

    async def _take_until_lost(self, handlers: asyncio.TaskGroup, places: asyncio.Semaphore) -> None:
        await self.jetstream.declare_stream(DEAD_LETTERS)
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
        async with self.jetstream.pull_from(self.stream, name, batch=self.concurrency) as pull:
            waiting: deque[Msg] = deque()
            try:
                async for messages in pull.batches():
                    waiting.extend(messages)
                    while waiting:
                        await places.acquire()
                        handlers.create_task(self._settle(waiting.popleft())).add_done_callback(
                            lambda _: places.release()
                        )
            except asyncio.CancelledError:
                for message in [*waiting, *pull.left()]:
                    await _give_back(message)
                raise

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
        except asyncio.CancelledError:
            await _give_back(message)
            raise
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
            with suppress(nats.errors.Error):  # while NATS is away nobody else is given it either
                await message.in_progress()

    async def _set_aside(self, received: Received, reason: str) -> None:
        _log.error("dead_letter", durable=self.durable, subject=received.subject, reason=reason)
        await self.jetstream.publish(
            f"dead.{self.stream}.{self.durable}",
            received.payload,
            message_id=f"{self.stream}.{self.durable}.{received.stream_sequence}",
            headers={"Dead-Subject": received.subject, "Dead-Reason": reason},
        )


async def _give_back(message: Msg) -> None:
    with suppress(nats.errors.Error):
        await message.nak()


def pause_after(deliveries: int) -> float:
    """Return the pause in seconds after so many deliveries: 0.2, 0.4, 0.8 ... at most 30."""
    return float(min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (deliveries - 1)))
