"""Messages of a consumer as they come, by pull requests that are renewed before they run dry."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from nats.aio.client import Client
from nats.aio.msg import Msg

from mesh.jetstream.trouble import MessagingUnavailable, translated

REQUEST_SECONDS = 30.0
HEARTBEAT_SECONDS = 1.0
MISSED_HEARTBEATS = 2.5
"""A consumer that is silent for so many heartbeats is gone: what it has is late by 2.5 s at most."""
_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Received:
    """A message of a stream."""

    subject: str
    payload: bytes
    headers: dict[str, str]
    stream_sequence: int
    consumer_sequence: int
    deliveries: int
    """1 for the first delivery."""


class Pull:
    """Messages of one consumer as they come."""

    def __init__(self, client: Client, inbox: str, subject: str, batch: int) -> None:
        self._client = client
        self._inbox = inbox
        self._subject = subject
        self._batch = batch
        self._asked = 0
        self._arrived: asyncio.Queue[Msg | None] = asyncio.Queue()

    def take(self, message: Msg) -> None:
        """Keep what the server has sent."""
        self._arrived.put_nowait(message)

    def lose(self) -> None:
        """Say that the connection was lost, so that `batches` ends."""
        self._arrived.put_nowait(None)

    async def batches(self) -> AsyncIterator[list[Msg]]:
        """Yield what has arrived, at least one message each time; `MessagingUnavailable` when the consumer is gone."""
        while True:
            if self._asked <= self._batch // 2:
                await self._ask(self._batch - self._asked)
            messages = [await self._next()]
            while not self._arrived.empty() and len(messages) < self._batch:
                messages.append(self._arrived.get_nowait())
            stored = [message for message in messages if message is not None and not self._is_status(message)]
            self._asked -= len(stored)
            if stored:
                yield stored
            if None in messages:
                raise MessagingUnavailable("the connection was lost")

    def left(self) -> list[Msg]:
        """Return what has arrived and was not yielded, for a caller that stops and gives it back."""
        messages = [self._arrived.get_nowait() for _ in range(self._arrived.qsize())]
        return [message for message in messages if message is not None and "Status" not in (message.headers or {})]

    async def _ask(self, count: int) -> None:
        request = {
            "batch": count,
            "expires": int(REQUEST_SECONDS * _NANOSECONDS),
            "idle_heartbeat": int(HEARTBEAT_SECONDS * _NANOSECONDS),
        }
        with translated():
            await self._client.publish(self._subject, json.dumps(request).encode(), reply=self._inbox)
        self._asked += count

    async def _next(self) -> Msg | None:
        if not self._arrived.empty():
            return self._arrived.get_nowait()
        with translated():
            async with asyncio.timeout(HEARTBEAT_SECONDS * MISSED_HEARTBEATS):
                return await self._arrived.get()

    def _is_status(self, message: Msg) -> bool:
        status = (message.headers or {}).get("Status")
        if status is None:
            return False
        if status == "100":  # heartbeat: the consumer lives and has nothing
            return True
        pending = (message.headers or {}).get("Nats-Pending-Messages")
        if status in ("404", "408") or (status == "409" and pending is not None):
            self._asked = max(0, self._asked - int(pending or self._asked))
            return True
        description = (message.headers or {}).get("Description", "")
        raise MessagingUnavailable(f"the consumer ended: {status} {description}")


def read(message: Msg) -> Received:
    """Take a stream message apart."""
    metadata = message.metadata
    return Received(
        subject=message.subject,
        payload=message.data,
        headers=dict(message.headers or {}),
        stream_sequence=metadata.sequence.stream,
        consumer_sequence=metadata.sequence.consumer,
        deliveries=metadata.num_delivered,
    )
