"""Devices with an open inbox: as cheap as a client can be, so that the gateway is the limit."""

import asyncio
import resource
from collections.abc import Sequence

import orjson

QUERY = """subscription { inbox { __typename ... on InboxItem { cursor }
  ... on MessageReceived { message { id number content sentAt conversationId } } } }"""
NEXT = b'{"type":"next"'
PING, PONG = b"\x89\x00", b"\x8a\x80\x00\x00\x00\x00"
"""The heartbeat, empty, and its answer. Texts are ASCII here, so these bytes stand nowhere else."""
OPENING_AT_ONCE = 64
SPARE_FILES = 1_500


def most_sockets(wanted: int) -> int:
    """Return how many sockets a process here may have open, at most `wanted`."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return min(wanted, most - SPARE_FILES)


class Device(asyncio.Protocol):
    """One socket: it subscribes, then counts what it gets."""

    def __init__(self, crowd: "Crowd", token: str) -> None:
        self._crowd = crowd
        self._token = token
        self._tail = b""
        self._is_open = False
        self.opened = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        transport.write(
            b"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
        )

    def data_received(self, data: bytes) -> None:
        if not self._is_open:
            self._is_open = True
            hello = {"type": "connection_init", "payload": {"authorization": f"Bearer {self._token}"}}
            subscribe = {"type": "subscribe", "id": "1", "payload": {"query": QUERY}}
            self._transport.write(masked(hello) + masked(subscribe))
            return
        text = self._tail + data
        self._crowd.count += text.count(NEXT) - self._tail.count(NEXT)
        self._tail = text[-len(NEXT) + 1 :]
        if PING in data:
            self._transport.write(PONG)
        if not self.opened.done() and b"InboxCaughtUp" in text:
            self.opened.set_result(None)
        self._crowd.look()

    def connection_lost(self, error: Exception | None) -> None:
        self._crowd.lost += 1
        if not self.opened.done():
            self.opened.set_exception(error or ConnectionResetError())


class Crowd:
    """Devices of many people."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._devices: list[Device] = []
        self._wanted = 0
        self._enough = asyncio.Event()
        self.count = 0
        self.lost = 0

    async def open(self, tokens: Sequence[str]) -> None:
        """Open a socket for each token, and wait until all have caught up."""
        loop = asyncio.get_running_loop()
        waiting = iter(tokens)

        async def opener() -> None:
            for token in waiting:
                _, device = await loop.create_connection(
                    lambda token=token: Device(self, token), "127.0.0.1", self._port
                )
                await asyncio.wait_for(device.opened, 30)
                self._devices.append(device)

        await asyncio.gather(*(opener() for _ in range(OPENING_AT_ONCE)))

    async def has_got(self, count: int) -> None:
        """Return once so many answers have come in all."""
        self._wanted = count
        self._enough.clear()
        self.look()
        await self._enough.wait()

    def look(self) -> None:
        if self.count >= self._wanted:
            self._enough.set()

    def close(self) -> None:
        for device in self._devices:
            device._transport.abort()


def masked(message: object) -> bytes:
    """Return a message as a client's frame; the mask may be zero."""
    text = orjson.dumps(message)
    return b"\x81" + bytes((0x80 | 126,)) + len(text).to_bytes(2) + bytes(4) + text
