"""How a crowd reaches a gateway: over HTTP connections that are kept, as many as it takes, or over open sockets."""

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

from benchmarks.messages.devices import Device, Refused
from tests.chaos.overload.crowd import Answer, Told

MOST_CONNECTIONS = 2_000
_HEAD_END = b"\r\n\r\n"

Next = Callable[[], bytes]
"""Returns the next request, or the JSON of the next payload."""


class OverHttp:
    """A request at a time on each connection."""

    def __init__(self, address: str, next_request: Next) -> None:
        host, _, port = address.rpartition(":")
        self._address = host, int(port)
        self._next_request = next_request
        self._loop = asyncio.get_running_loop()
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._waiting: deque[Told] = deque()

    def ask(self, told: Told) -> None:
        """Ask on an idle connection, or on one more."""
        if self._idle:
            self._idle.pop().send(self._next_request(), told)
            return
        self._waiting.append(told)
        if len(self._open) + len(self._opening) < MOST_CONNECTIONS:
            task = self._loop.create_task(self._connect())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def close(self) -> None:
        """Close every connection."""
        for connection in list(self._open):
            connection.transport.abort()

    async def _connect(self) -> None:
        try:
            _, connection = await self._loop.create_connection(lambda: _Connection(self), *self._address)
        except OSError:
            if self._waiting:
                self._waiting.popleft()(Answer.WRONG)
        else:
            self._open.add(connection)
            self.free(connection)

    def free(self, connection: "_Connection") -> None:
        """Take a connection that has been answered."""
        if self._waiting:
            connection.send(self._next_request(), self._waiting.popleft())
        else:
            self._idle.append(connection)

    def lost(self, connection: "_Connection") -> None:
        """Take note that a connection has ended."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)


class _Connection(asyncio.Protocol):
    def __init__(self, pool: OverHttp) -> None:
        self._pool = pool
        self._received = b""
        self._whole = 0
        self._told: Told | None = None

    def send(self, request: bytes, told: Told) -> None:
        self._told = told
        self.transport.write(request)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by name

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._whole and (end := self._received.find(_HEAD_END)) >= 0:
            length = self._received[:end].lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            self._whole = end + len(_HEAD_END) + int(length)
        if self._whole and len(self._received) >= self._whole and self._told is not None:
            answer, told = self._received, self._told
            self._received, self._whole, self._told = b"", 0, None
            self._pool.free(self)
            told(_meaning(answer))

    def connection_lost(self, error: Exception | None) -> None:
        self._pool.lost(self)
        if self._told is not None:
            self._told(Answer.WRONG)


def _meaning(answer: bytes) -> Answer:
    if answer[9:12] == b"200" and b'"errors"' not in answer:
        return Answer.GOOD
    return Answer.REFUSED if answer[9:12] == b"503" and b"OVERLOADED" in answer else Answer.WRONG


class OverSockets:
    """Operations of many people, each on a socket of theirs."""

    def __init__(self, devices: list[tuple[Device, Next]]) -> None:
        self._turn = itertools.cycle(devices)

    def ask(self, told: Told) -> None:
        """Ask on the next socket."""
        device, next_payload = next(self._turn)
        device.start(next_payload()).add_done_callback(lambda answer: told(_outcome(answer)))


def _outcome(answer: "asyncio.Future[dict[str, Any]]") -> Answer:
    error = answer.exception()
    if error is None:
        return Answer.GOOD
    return Answer.REFUSED if isinstance(error, Refused) and "OVERLOADED" in str(error) else Answer.WRONG


@asynccontextmanager
async def over_sockets(address: str, people: list[tuple[str, Next]]) -> AsyncIterator[OverSockets]:
    """Open a socket for each of these tokens, on which it asks what its function returns."""
    devices: list[tuple[Device, Next]] = []
    try:
        for token, next_payload in people:
            devices.append((await Device.connect(address, token), next_payload))
        yield OverSockets(devices)
    finally:
        for device, _ in devices:
            device.abort()
