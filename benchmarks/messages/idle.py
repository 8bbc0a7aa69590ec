"""Idle subscriptions on one gateway: what each costs in memory.

The sockets of this end are plain asyncio protocols, so that the driver's own memory is no limit; open files are.
"""

import asyncio
import base64
import os
import resource
import struct
from typing import cast

import orjson

from benchmarks.bench import Bench
from benchmarks.measure import memory_mib
from benchmarks.messages.rig import Rig
from benchmarks.messages.through_gateway import INBOX

MOST = 18_000
SPARE_FILES = 600
AT_ONCE = 32
FIRST_IDLE_USER = 10_000_000
READY_SECONDS = 30


async def measure_idle(bench: Bench, rig: Rig) -> None:
    """Open as many inboxes as may be, each of another person."""
    count = bench.size(min(MOST, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_FILES), 1_000)
    bench.say(f"{count} idle inboxes on one gateway")
    gateway = rig.stack.pid("gateway.serve") or 0
    before = memory_mib(gateway)
    open_ones: list[asyncio.Transport] = []
    numbers = iter(range(count))

    async def opener() -> None:
        for number in numbers:
            open_ones.append(await _open(rig, FIRST_IDLE_USER + number))

    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(opener())
        bench.figure("idle_subscriptions", len(open_ones), f"opened in {loop.time() - began:.0f} s")
        still_open = sum(not one.is_closing() for one in open_ones)
        bench.figure("kib_per_idle_subscription", (memory_mib(gateway) - before) * 1024 / max(still_open, 1))
        bench.require(still_open == count, f"all {count} stay open, {still_open} do")
    finally:
        for one in open_ones:
            one.abort()


class _Inbox(asyncio.Protocol):
    """Upgrades, subscribes, and then only listens."""

    def __init__(self, host: str, token: str) -> None:
        self._host = host
        self._token = token
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self.caught_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by name
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            f"GET /graphql HTTP/1.1\r\nHost: {self._host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if self.caught_up.done():
            if data[:1] == b"\x89":  # a ping, answered as the protocol wants it
                self._transport.write(b"\x8a\x80\0\0\0\0")
            return
        was_upgraded = b"\r\n\r\n" in self._received
        self._received += data
        if not was_upgraded and b"\r\n\r\n" in self._received:
            init = {"type": "connection_init", "payload": {"authorization": f"Bearer {self._token}"}}
            subscribe = {"type": "subscribe", "id": "1", "payload": {"query": INBOX}}
            self._transport.write(_frame(init) + _frame(subscribe))
        if b"InboxCaughtUp" in self._received:
            self._received = b""
            self.caught_up.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.caught_up.done():
            self.caught_up.set_exception(ConnectionResetError(self._received[:300].decode(errors="replace")))


async def _open(rig: Rig, user_id: int) -> asyncio.Transport:
    host, _, port = rig.gateway.rpartition(":")
    inbox = _Inbox(rig.gateway, rig.viewer(user_id).token)
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: inbox, host, int(port))
    async with asyncio.timeout(READY_SECONDS):
        await inbox.caught_up
    return transport


def _frame(message: object) -> bytes:
    """Return a masked text frame; the mask is zero, which is a mask too."""
    payload = orjson.dumps(message)
    if len(payload) < 126:
        return struct.pack("!BB4x", 0x81, 0x80 | len(payload)) + payload
    return struct.pack("!BBH4x", 0x81, 0x80 | 126, len(payload)) + payload
