"""Devices: they follow inboxes, are cut again and again, resume from their cursor, and remember what they were shown.

Some follow as a gateway does (hear, replay, fill holes, sweep), with holes to be sabotaged; the others are clients of
the gateways: over the GraphQL subscription on a WebSocket, and over Server-Sent Events.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from gateway import ids
from heliograph.dm.v1 import inbox_service_pb2
from heliograph.events.v1 import message_events_pb2
from mesh.errors import HeliographError
from tests.chaos.messages.world import World

SWEEP_SECONDS = 2.0
LIFE_SECONDS = (0.3, 1.5)
"""How long a connection lasts, from and to."""
PROTOCOL = "graphql-transport-ws"
INBOX = """subscription ($after: String) { inbox(after: $after) { __typename ... on InboxItem { cursor }
  ... on MessageReceived { message { id } } ... on InboxResync { reason } } }"""
NO_ENTRIES = ("InboxCaughtUp", "InboxResync")


@dataclass
class Shown:
    """What a device was shown, in the order in which it was."""

    world: World
    user_id: int
    places: list[int] = field(default_factory=list)
    message_ids: list[str] = field(default_factory=list)
    arrivals: dict[str, float] = field(default_factory=dict)

    @property
    def cursor(self) -> int:
        return self.places[-1] if self.places else 0

    def show(self, useq: int, message_id: str | None) -> None:
        self.places.append(useq)
        if message_id:
            self.message_ids.append(message_id)
            self.arrivals[message_id] = time.monotonic()


@dataclass
class MeshDevice(Shown):
    """Follows an inbox over gRPC and NATS, as a gateway does."""

    is_deaf: bool = False
    """Whether announcements are lost on their way."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        """Connect, follow for a while, be cut, come again from the cursor."""
        self.world.act_as(self.user_id)
        while True:
            try:
                await self._follow(random.uniform(*LIFE_SECONDS))
            except HeliographError:
                await asyncio.sleep(0.1)
            self.world.cuts += 1

    async def _follow(self, seconds: float) -> None:
        subscription = None if self.is_deaf else await self._hear()
        try:
            await self._replay()
            end = time.monotonic() + seconds
            while time.monotonic() < end or self.is_deaf:
                await asyncio.sleep(min(SWEEP_SECONDS, max(end - time.monotonic(), 0.01)) if not self.is_deaf else 1.0)
                if self.world.check.sabotage != "sweep_off":
                    await self._sweep()
        finally:
            if subscription is not None:
                try:
                    await subscription.unsubscribe()
                except Exception:  # the connection may be gone
                    self.world.check.say("a device could not say goodbye")

    async def _hear(self) -> Any:
        try:
            return await self.world.notices.hear(f"dm.inbox.{self.user_id}", self._notice)
        except HeliographError:
            return None  # NATS is away: the sweep does without

    async def _notice(self, message: Any) -> None:
        if self.is_deaf:
            return
        event = message_events_pb2.InboxEntriesDelivered.FromString(message.data)
        self.world.act_as(self.user_id)
        async with self.lock:
            if event.entries[0].useq > self.cursor + 1 and self.world.check.sabotage != "skip_holes":
                try:
                    await self._fill()
                except HeliographError:
                    return  # the sweep finds it
            self._take(event.entries)

    async def _sweep(self) -> None:
        request = inbox_service_pb2.GetInboxHeadsRequest(user_ids=[self.user_id])
        (head,) = (await self.world.inboxes.GetInboxHeads(request)).heads
        if head.head_useq > self.cursor:
            await self._replay()

    async def _replay(self) -> None:
        if self.world.check.sabotage == "sweep_off" and self.is_deaf:
            return
        async with self.lock:
            await self._fill()

    async def _fill(self) -> None:
        while True:
            reply = await self.world.inboxes.ReplayInbox(
                inbox_service_pb2.ReplayInboxRequest(after_useq=self.cursor, page_size=500)
            )
            if reply.resync_reason:
                raise AssertionError(f"a cursor of this inbox was refused: {reply}")
            self._take(reply.entries)
            if reply.is_caught_up:
                return

    def _take(self, entries: Any) -> None:
        skips = self.world.check.sabotage == "skip_holes"
        for entry in entries:
            if entry.useq <= self.cursor or (entry.useq > self.cursor + 1 and not skips):
                continue
            self.show(entry.useq, entry.message_received.message_id)


@dataclass
class GatewayDevice(Shown):
    """A client of whichever gateway answers; what it is shown it takes as it comes, without a thought."""

    over_events: bool = False
    """Over Server-Sent Events instead of a WebSocket."""

    async def run(self) -> None:
        """Connect, be shown things for a while, be cut, come again from the cursor."""
        while True:
            connect = self._events if self.over_events else self._socket
            try:
                async with asyncio.timeout(random.uniform(*LIFE_SECONDS)), connect() as events:
                    async for event in events:
                        self._take(event)
            except (TimeoutError, aiohttp.ClientError, ConnectionError, orjson.JSONDecodeError):
                await asyncio.sleep(0.05)
            self.world.cuts += 1

    def _take(self, event: Any) -> None:
        if event["__typename"] == "InboxResync":
            raise AssertionError(f"a cursor of this inbox was refused: {event}")
        if event["__typename"] not in NO_ENTRIES:
            (useq,) = self.world.cursors.decode_ints(self._scope, event["cursor"], 1)
            message = event.get("message")
            self.show(useq, ids.uuid("Message", message["id"]) if message else None)

    @property
    def _scope(self) -> str:
        return f"inbox:{self.user_id}"

    @property
    def _place(self) -> str:
        return self.world.cursors.encode(self._scope, self.cursor)

    @asynccontextmanager
    async def _socket(self) -> AsyncIterator[AsyncIterator[Any]]:
        address = random.choice(self.world.gateways)
        async with self.world.http.ws_connect(f"http://{address}/graphql", protocols=[PROTOCOL]) as channel:
            await channel.send_json(
                {
                    "type": "connection_init",
                    "payload": {"authorization": f"Bearer {self.world.tokens[self.user_id]}"},
                }
            )
            await channel.send_json(
                {
                    "type": "subscribe",
                    "id": "1",
                    "payload": {"query": INBOX, "variables": {"after": self._place}},
                }
            )
            # The second is taken as soon as the first is: no answer needs to be awaited in between.
            yield _payloads(channel)

    @asynccontextmanager
    async def _events(self) -> AsyncIterator[AsyncIterator[Any]]:
        address = random.choice(self.world.gateways)
        headers = {
            "Authorization": f"Bearer {self.world.tokens[self.user_id]}",
            "Last-Event-ID": self._place,
        }
        timeout = aiohttp.ClientTimeout(None)
        async with self.world.http.get(f"http://{address}/inbox", headers=headers, timeout=timeout) as answer:
            answer.raise_for_status()
            yield _datas(answer)


async def _payloads(channel: aiohttp.ClientWebSocketResponse) -> AsyncIterator[Any]:
    async for message in channel:
        taken = orjson.loads(message.data)
        if taken["type"] == "next":
            if (event := taken["payload"]["data"]) is None:
                return  # it could not be told whole: come again for it
            yield event["inbox"]


async def _datas(answer: aiohttp.ClientResponse) -> AsyncIterator[Any]:
    while line := await answer.content.readline():
        # A stream that is cut may end in mid-line; what isn't whole is sent again.
        if line.startswith(b"data: ") and line.endswith(b"\n"):
            event = orjson.loads(line[6:]).get("data")
            if event:
                yield event["inbox"]
