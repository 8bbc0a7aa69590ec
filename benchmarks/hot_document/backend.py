"""`python -m benchmarks.hot_document.backend`: GetHomeFeed and GetStoryTray over gRPC, from replies made beforehand.

A gRPC server in Python answers 3,300 calls a second on a core; the servers under test need twice as many. So this one
speaks just enough HTTP/2 for gRPC: whatever is asked on a port is answered with that port's next reply. It prints its
two ports. A line on its input changes what it answers: `same` the first page always, `turns` one after the other.
"""

import asyncio
import itertools
import sys
from collections import deque
from collections.abc import Iterator

import uvloop

from benchmarks.hot_document.document import pages

PREFACE_BYTES = 24
MAX_FRAME_BYTES = 16_384
FIRST_WINDOW = 65_535
DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE = 0x0, 0x1, 0x4, 0x6, 0x8
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1
# HPACK without tables: `:status 200` and `content-type: application/grpc`; then `grpc-status: 0`.
REPLY_HEADERS = b"\x88\x0f\x10\x10application/grpc"
TRAILERS = b"\x00\x0bgrpc-status\x010"


class Replies:
    """The replies of one port."""

    def __init__(self, replies: list[bytes]) -> None:
        self._replies = replies
        self._next: Iterator[bytes] = iter(())
        self.take_turns()

    def next(self) -> bytes:
        return next(self._next)

    def take_turns(self) -> None:
        self._next = itertools.cycle(self._replies)

    def stay_the_same(self) -> None:
        self._next = itertools.repeat(self._replies[0])


class Connection(asyncio.Protocol):
    """One HTTP/2 connection."""

    def __init__(self, replies: Replies) -> None:
        self._replies = replies
        self._received = b""
        self._greeted = False
        self._window = FIRST_WINDOW
        self._waiting: deque[tuple[int, bytes]] = deque()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        # Once and for all as much as the client may ever send.
        transport.write(frame(SETTINGS, 0, 0, b"") + frame(WINDOW_UPDATE, 0, 0, (2**31 - 1 - FIRST_WINDOW).to_bytes(4)))

    def data_received(self, data: bytes) -> None:
        received = self._received + data
        at = 0
        if not self._greeted:
            if len(received) < PREFACE_BYTES:
                self._received = received
                return
            self._greeted, at = True, PREFACE_BYTES
        answer: list[bytes] = []
        while len(received) >= at + 9:
            end = at + 9 + int.from_bytes(received[at : at + 3])
            if len(received) < end:
                break
            kind, flags = received[at + 3], received[at + 4]
            self._take(kind, flags, int.from_bytes(received[at + 5 : at + 9]), received[at + 9 : end], answer)
            at = end
        self._received = received[at:]
        self._send_waiting(answer)
        if answer:
            self._transport.write(b"".join(answer))

    def _take(self, kind: int, flags: int, stream: int, payload: bytes, answer: list[bytes]) -> None:
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            reply = self._replies.next()
            self._waiting.append((stream, b"\x00" + len(reply).to_bytes(4) + reply))
        elif kind == SETTINGS and not flags & ACK:
            answer.append(frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            answer.append(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE and stream == 0:
            self._window += int.from_bytes(payload)

    def _send_waiting(self, answer: list[bytes]) -> None:
        """Answer as many calls as the client's window takes. A reply is smaller than the window of its stream."""
        while self._waiting and len(self._waiting[0][1]) <= self._window:
            stream, message = self._waiting.popleft()
            self._window -= len(message)
            answer.append(frame(HEADERS, END_HEADERS, stream, REPLY_HEADERS))
            for start in range(0, len(message), MAX_FRAME_BYTES):
                answer.append(frame(DATA, 0, stream, message[start : start + MAX_FRAME_BYTES]))
            answer.append(frame(HEADERS, END_HEADERS | END_STREAM, stream, TRAILERS))


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


async def main() -> None:
    loop = asyncio.get_running_loop()
    both = [Replies(replies) for replies in pages()]
    servers = [await loop.create_server(lambda one=one: Connection(one), "127.0.0.1", 0) for one in both]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        for replies in both:
            replies.stay_the_same() if line.strip() == "same" else replies.take_turns()
        print("done", flush=True)


if __name__ == "__main__":
    uvloop.run(main())
