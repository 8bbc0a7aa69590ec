"""Publishing with acknowledgements at the price of one future each.

nats-py's own `request` makes a name, a timeout and a closure for every call. Here all acknowledgements come to one
subscription, by number, and what is published together is put together here, and is one write.
"""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import nats.errors
import nats.js.errors
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg

from mesh.jetstream import direct
from mesh.jetstream.trouble import MessagingUnavailable, translated

PUBLISH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Stored:
    """A publish acknowledgement: the message is on disk at `sequence`; `duplicate` when its id was known already."""

    stream: str
    sequence: int
    duplicate: bool


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What is to be stored, and under which subject."""

    subject: str
    payload: bytes
    headers: Mapping[str, str] | None = None


class Publisher:
    """The publishes of one connection that wait for their acknowledgement."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._prefix = ""
        self._opening = asyncio.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[bytes]] = {}

    async def publish(self, messages: Sequence[Outgoing], *, unacknowledged: Sequence[Outgoing] = ()) -> list[Stored]:
        """Store messages and return where each one is; they reach the server in this order, behind those that are sent
        without asking for an acknowledgement.

        `MessagingUnavailable` when one was not acknowledged in time, or the connection was lost meanwhile; any of them
        may be stored then.
        """
        if not self._prefix:
            await self._open()
        frames = [self._frame(message) for message in unacknowledged]
        numbers = [str(next(self._numbers)) for _ in messages]
        loop = asyncio.get_running_loop()
        waiting = [self._waiting.setdefault(number, loop.create_future()) for number in numbers]
        late = loop.call_later(PUBLISH_SECONDS, self._give_up, numbers)
        try:
            for number, message in zip(numbers, messages, strict=True):
                frames.append(self._frame(message, self._prefix + number))
            await self._send(b"".join(frames))
            return [_stored(await acknowledged) for acknowledged in waiting]
        finally:
            late.cancel()
            for number, acknowledged in zip(numbers, waiting, strict=True):
                self._waiting.pop(number, None)
                acknowledged.cancel()

    def _frame(self, message: Outgoing, reply: str = "") -> bytes:
        """Return a message as the server's protocol wants it (PUB, or HPUB with headers)."""
        if " " in message.subject or not message.subject.isprintable():
            raise nats.errors.BadSubjectError
        if len(message.payload) > self._client.max_payload:
            raise nats.errors.MaxPayloadError
        if not message.headers:
            return f"PUB {message.subject} {reply} {len(message.payload)}\r\n".encode() + message.payload + b"\r\n"
        lines = "".join([f"{name}: {value}\r\n" for name, value in message.headers.items()])
        if lines.count("\n") > len(message.headers):
            raise nats.errors.BadHeaderError
        head = f"NATS/1.0\r\n{lines}\r\n".encode()
        size = len(head) + len(message.payload)
        command = f"HPUB {message.subject} {reply} {len(head)} {size}\r\n".encode()
        return b"%b%b%b\r\n" % (command, head, message.payload)

    async def _send(self, frames: bytes) -> None:
        await self._client._send_command(frames)
        if self._client._flush_queue is not None and self._client._flush_queue.empty():
            await self._client._flush_pending()

    def lose(self) -> None:
        """Tell all that wait that the connection was lost: their acknowledgements went with it."""
        self._give_up(list(self._waiting))

    async def _open(self) -> None:
        async with self._opening:
            if self._prefix:
                return
            inbox = self._client.new_inbox()
            with translated():
                await direct.subscribe(self._client, f"{inbox}.*", self._take)
            self._prefix = f"{inbox}."

    def _take(self, answer: Msg) -> None:
        acknowledged = self._waiting.get(answer.subject[len(self._prefix) :])
        if acknowledged is None or acknowledged.done():
            return
        if answer.headers and answer.headers.get("Status") == "503":
            acknowledged.set_exception(MessagingUnavailable("no stream takes the subject right now"))
        else:
            acknowledged.set_result(answer.data)

    def _give_up(self, numbers: Sequence[str]) -> None:
        for number in numbers:
            acknowledged = self._waiting.get(number)
            if acknowledged is not None and not acknowledged.done():
                acknowledged.set_exception(MessagingUnavailable("a publish was not acknowledged"))
                # Of several only the first is awaited.
                acknowledged.exception()


def _stored(answer: bytes) -> Stored:
    fields = orjson.loads(answer)
    if "error" in fields:
        with translated():
            nats.js.errors.APIError.from_error(fields["error"])  # raises the class of its code
    return Stored(fields["stream"], fields["seq"], bool(fields.get("duplicate")))
