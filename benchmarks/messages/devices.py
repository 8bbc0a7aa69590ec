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
        self._received = bytearray()
        self._upgraded = False
        self._transport: asyncio.Transport | None = None
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._numbers = itertools.count()

    @classmethod
    async def open(cls, rig: Rig, user_id: int, hear: Hear | None = None) -> Self:
        """Open a socket; with `hear` its inbox too, from now on: what is sent after the return is heard."""
        host, _, port = rig.gateway.rpartition(":")
        device = cls(rig.gateway, rig.viewer(user_id).token, hear)
        await asyncio.get_running_loop().create_connection(lambda: device, host, int(port))
        async with asyncio.timeout(READY_SECONDS):
            await device._ready
        return device

    async def ask(self, payload: bytes) -> dict[str, Any]:
        """Carry out a query or mutation, given as the JSON of its payload; return its `data`."""
        key = str(next(self._numbers))
        answer = self._asked[key] = asyncio.get_running_loop().create_future()
        self._write(b'{"type":"subscribe","id":"' + key.encode() + b'","payload":' + payload + b"}")
        return await answer

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
        self._received += data
        if not self._upgraded:
            head, end, rest = bytes(self._received).partition(_HEAD_END)
            if not end:
                return
            self._upgraded = b" 101 " in head[:16]
            self._received = bytearray(rest)
            self._write(
                orjson.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {self._token}"}})
            )
        while (frame := self._next_frame()) is not None:
            kind, text = frame
            if kind == _PING and self._transport is not None:
                self._transport.write(_PONG)
            elif kind == _TEXT:
                self._take(orjson.loads(text))

    def connection_lost(self, error: Exception | None) -> None:
        lost = error or ConnectionResetError(bytes(self._received[:300]).decode(errors="replace"))
        for waiting in (self._ready, *self._asked.values()):
            if not waiting.done():
                waiting.set_exception(lost)

    def _next_frame(self) -> tuple[int, bytes] | None:
        received = self._received
        if len(received) < 2:
            return None
        start, size = 2, received[1]
        if size == 126:
            start, size = 4, int.from_bytes(received[2:4])
        elif size == 127:
            start, size = 10, int.from_bytes(received[2:10])
        if len(received) < start + size:
            return None
        kind, text = received[0], bytes(received[start : start + size])
        del received[: start + size]
        return kind, text

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
