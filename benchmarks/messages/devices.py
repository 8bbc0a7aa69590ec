"""Devices over graphql-transport-ws, on plain asyncio protocols: cheap, so that the driver is no limit."""

import asyncio
import base64
import itertools
import os
import struct
from collections.abc import Callable
from typing import Any, Self, cast

import orjson

from benchmarks.messages.rig import Rig

INBOX = """subscription Inbox { inbox { __typename ... on InboxItem { cursor }
  ... on MessageReceived { message { id number content sender { id } } } } }"""
READY_SECONDS = 30
_INBOX_ID = "inbox"
_COMPLETE = b'{"type":"complete"'
_HEAD_END = b"\r\n\r\n"
_TEXT, _PING = 0x81, 0x89
_PONG = b"\x8a\x80\0\0\0\0"

Hear = Callable[[dict[str, Any]], None]
"""Is given each event of an inbox."""


class Refused(Exception):
    """An operation that was answered with errors."""


class Device(asyncio.Protocol):
    """One socket: what it asks and is answered, and the inbox it was opened with, if any."""

    __slots__ = ("_asked", "_hear", "_host", "_numbers", "_ready", "_received", "_token", "_transport", "_upgraded")

    def __init__(self, host: str, token: str, hear: Hear | None) -> None:
        self._host = host
        self._token = token
        self._hear = hear
        self._received = b""
        self._upgraded = False
        self._transport: asyncio.Transport | None = None
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._numbers = itertools.count()

    @classmethod
    async def open(cls, rig: Rig, user_id: int, hear: Hear | None = None) -> Self:
        """Open a socket; with `hear` its inbox too, from now on: what is sent after the return is heard."""
        return await cls.connect(rig.gateway, rig.viewer(user_id).token, hear)

    @classmethod
    async def connect(cls, address: str, token: str, hear: Hear | None = None) -> Self:
        """Open a socket to a gateway at `host:port`, as `open` does."""
        host, _, port = address.rpartition(":")
        device = cls(address, token, hear)
        await asyncio.get_running_loop().create_connection(lambda: device, host, int(port))
        async with asyncio.timeout(READY_SECONDS):
            await device._ready
        return device

    async def ask(self, payload: bytes) -> dict[str, Any]:
        """Carry out a query or mutation, given as the JSON of its payload; return its `data`."""
        return await self.start(payload)

    def start(self, payload: bytes) -> "asyncio.Future[dict[str, Any]]":
        """Begin what `ask` does."""
        key = str(next(self._numbers))
        answer = self._asked[key] = asyncio.get_running_loop().create_future()
        self._write(b'{"type":"subscribe","id":"' + key.encode() + b'","payload":' + payload + b"}")
        return answer

    @property
    def is_open(self) -> bool:
        """Whether neither side has closed it."""
        return self._transport is not None and not self._transport.is_closing()

    def abort(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by name
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            f"GET /graphql HTTP/1.1\r\nHost: {self._host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        if not self._upgraded:
            head, end, rest = received.partition(_HEAD_END)
            if not end:
                self._received = received
                return
            self._upgraded = b" 101 " in head[:16]
            received = rest
            self._write(
                orjson.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {self._token}"}})
            )
        start = 0
        while end_of_frame := self._take_frame(received, start):
            start = end_of_frame
        self._received = received[start:]

    def connection_lost(self, error: Exception | None) -> None:
        lost = error or ConnectionResetError(self._received[:300].decode(errors="replace"))
        awaited: list[asyncio.Future[Any]] = [self._ready, *self._asked.values()]
        for waiting in awaited:
            if not waiting.done():
                waiting.set_exception(lost)

    def _take_frame(self, received: bytes, start: int) -> int:
        """Take the frame that starts there; return where it ends, 0 when it is not whole."""
        if len(received) < start + 2:
            return 0
        begin, size = start + 2, received[start + 1]
        if size == 126:
            begin, size = start + 4, int.from_bytes(received[start + 2 : start + 4])
        elif size == 127:
            begin, size = start + 10, int.from_bytes(received[start + 2 : start + 10])
        end = begin + size
        if len(received) < end:
            return 0
        kind = received[start]
        if kind == _PING and self._transport is not None:
            self._transport.write(_PONG)
        elif kind == _TEXT and not received.startswith(_COMPLETE, begin):  # the answer came before
            self._take(orjson.loads(received[begin:end]))
        return end

    def _take(self, message: dict[str, Any]) -> None:
        key = message.get("id")
        match message["type"]:
            case "connection_ack" if self._hear is None:
                self._ready.set_result(None)
            case "connection_ack":
                self._write(orjson.dumps({"type": "subscribe", "id": _INBOX_ID, "payload": {"query": INBOX}}))
            case "next" if key == _INBOX_ID and self._hear is not None:
                if not self._ready.done():
                    self._ready.set_result(None)  # it has caught up
                self._hear(message["payload"]["data"]["inbox"])
            case "next" if "errors" in message["payload"]:
                self._asked.pop(str(key)).set_exception(Refused(str(message["payload"]["errors"])))
            case "next":
                self._asked.pop(str(key)).set_result(message["payload"]["data"])
            case "error":
                self._asked.pop(str(key)).set_exception(Refused(str(message["payload"])))

    def _write(self, text: bytes) -> None:
        """Send a masked text frame; the mask is zero, which is a mask too."""
        if self._transport is None:
            raise ConnectionResetError
        size = len(text)
        head = struct.pack("!BB4x", _TEXT, 0x80 | size) if size < 126 else struct.pack("!BBH4x", _TEXT, 0xFE, size)
        self._transport.write(head + text)
