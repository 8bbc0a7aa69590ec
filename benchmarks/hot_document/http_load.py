"""HTTP/1.1 connections that send one and the same request again and again: cheap, so that the server is the limit."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson

from benchmarks.hot_document.document import TEXT, VARIABLES

HEAD_END = b"\r\n\r\n"


class AnswerRefused(Exception):
    """An answer that is not 200, or has errors."""


def request(port: int, token: str) -> bytes:
    """Return the bytes of the hot document's request."""
    body = orjson.dumps({"query": TEXT, "variables": VARIABLES})
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Accept: application/json\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Connection(asyncio.Protocol):
    """One connection: one request at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._whole = 0
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._whole and (end := self._received.find(HEAD_END)) >= 0:
            head = bytes(self._received[:end]).lower()
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._whole = end + len(HEAD_END) + int(length)
        if self._whole and len(self._received) >= self._whole and self._answer is not None:
            answer, self._answer = self._answer, None
            if not answer.done():
                answer.set_result(bytes(self._received))
            self._received.clear()
            self._whole = 0

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError())

    async def ask(self, sent: bytes) -> bytes:
        """Send a request and return the body of its answer."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(sent)
        head, _, body = (await self._answer).partition(HEAD_END)
        if b" 200 " not in head[:16] or body.startswith(b'{"errors"'):
            raise AnswerRefused(body[:200].decode())
        return body

    @property
    def is_closed(self) -> bool:
        """Whether the server gave it up: Node closes what was idle for 5 s."""
        return self._transport.is_closing()

    def close(self) -> None:
        self._transport.close()


class Connections:
    """Connections to one server, each used by one asker at a time; opened when there are more askers than before."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._sent = request(port, token)
        self._free: deque[Connection] = deque()
        self._all: list[Connection] = []

    async def ask(self, _number: int = 0) -> bytes:
        """Ask the hot document; return the body of the answer."""
        while self._free:
            if not (connection := self._free.pop()).is_closed:
                break
        else:
            connection = await self._opened()
        body = await connection.ask(self._sent)
        self._free.append(connection)
        return body

    async def _opened(self) -> Connection:
        _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", self._port)
        self._all.append(connection)
        return connection

    def close(self) -> None:
        for connection in self._all:
            connection.close()


@asynccontextmanager
async def connections(port: int, token: str) -> AsyncIterator[Connections]:
    """Open connections, until the end of the block."""
    opened = Connections(port, token)
    try:
        yield opened
    finally:
        opened.close()
