"""`python -m benchmarks.hot_document.backend`: GetHomeFeed and GetStoryTray over gRPC, from replies made beforehand.

A gRPC server in Python answers 3,300 calls a second on a core; the servers under test need twice as many. So this one
speaks just enough HTTP/2 for gRPC: whatever is asked on a port is answered with that port's next reply, bundled when it
was asked in one. It prints its two ports. A line on its input changes what it answers: `same` the first page always,
`turns` one after the other.
"""

import asyncio
import itertools
import sys
from collections import deque
from collections.abc import Iterator
from enum import IntEnum

import uvloop

from benchmarks.hot_document.document import pages
from heliograph.mesh.v1.bundle_service_pb2 import CarryRequest, CarryResponse

PREFACE_BYTES = 24
MAX_FRAME_BYTES = 16_384
FIRST_WINDOW = 65_535
MAX_WINDOW = 2**31 - 1
INITIAL_WINDOW_SIZE = 4
"""Number of the setting: what a stream may send before it is given more."""
CARRY_SECONDS = 0.02
"""A unary call brings its request at once; who has asked nothing for so long waits for the name of the process."""
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1
# HPACK without tables: `:status 200` and `content-type: application/grpc`; then `grpc-status: 0`.
REPLY_HEADERS = b"\x88\x0f\x10\x10application/grpc"
TRAILERS = b"\x00\x0bgrpc-status\x010"


class Frame(IntEnum):
    """Kinds of HTTP/2 frames."""

    DATA = 0x0
    HEADERS = 0x1
    RST_STREAM = 0x3
    SETTINGS = 0x4
    PING = 0x6
    WINDOW_UPDATE = 0x8


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


class Stream:
    """What is to be sent on a stream."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.received = b""
        self.carries = False
        self.to_send = bytearray()
        self.is_last = False

    def send(self, message: bytes) -> None:
        self.to_send += b"\x00" + len(message).to_bytes(4) + message


class Connection(asyncio.Protocol):
    """One HTTP/2 connection."""

    def __init__(self, replies: Replies) -> None:
        self._replies = replies
        self._received = b""
        self._greeted = False
        self._window = FIRST_WINDOW
        self._stream_window = FIRST_WINDOW
        self._streams: dict[int, Stream] = {}
        self._waiting: deque[int] = deque()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        # Once and for all as much as the client may ever send.
        settings = INITIAL_WINDOW_SIZE.to_bytes(2) + MAX_WINDOW.to_bytes(4)
        more = (MAX_WINDOW - FIRST_WINDOW).to_bytes(4)
        transport.write(frame(Frame.SETTINGS, 0, 0, settings) + frame(Frame.WINDOW_UPDATE, 0, 0, more))

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
        self._send(answer)

    def _take(self, kind: int, flags: int, number: int, payload: bytes, answer: list[bytes]) -> None:
        stream = self._streams.get(number)
        match kind:
            case Frame.HEADERS:
                self._streams[number] = Stream(self._stream_window)
                asyncio.get_running_loop().call_later(CARRY_SECONDS, self._greet, number)
            case Frame.DATA if stream is not None and stream.carries:
                self._answer_bundles(stream, payload)
                self._end_if(flags & END_STREAM, stream, number)
            case Frame.DATA if stream is not None and flags & END_STREAM:
                stream.send(self._replies.next())
                answer.append(frame(Frame.HEADERS, END_HEADERS, number, REPLY_HEADERS))
                self._end_if(END_STREAM, stream, number)
            case Frame.RST_STREAM:
                self._streams.pop(number, None)
            case Frame.SETTINGS if not flags & ACK:
                self._adopt(payload)
                answer.append(frame(Frame.SETTINGS, ACK, 0, b""))
            case Frame.PING if not flags & ACK:
                answer.append(frame(Frame.PING, ACK, 0, payload))
            case Frame.WINDOW_UPDATE if number == 0:
                self._window += int.from_bytes(payload)
            case Frame.WINDOW_UPDATE if stream is not None:
                stream.window += int.from_bytes(payload)
                self._waiting.append(number)

    def _adopt(self, settings: bytes) -> None:
        for at in range(0, len(settings), 6):
            if int.from_bytes(settings[at : at + 2]) == INITIAL_WINDOW_SIZE:
                self._stream_window = int.from_bytes(settings[at + 2 : at + 6])

    def _greet(self, number: int) -> None:
        """Name the process on a stream that is to carry bundles."""
        stream = self._streams.get(number)
        if stream is None or stream.is_last or self._transport.is_closing():
            return
        stream.carries = True
        stream.send(CarryResponse(process_name="backend").SerializeToString())
        self._waiting.append(number)
        self._send([frame(Frame.HEADERS, END_HEADERS, number, REPLY_HEADERS)])

    def _answer_bundles(self, stream: Stream, data: bytes) -> None:
        stream.received += data
        while len(stream.received) >= 5 and len(stream.received) >= (end := 5 + int.from_bytes(stream.received[1:5])):
            asked, bundle = CarryRequest.FromString(stream.received[5:end]), CarryResponse()
            stream.received = stream.received[end:]
            for call in asked.calls:
                bundle.outcomes.add(number=call.number, reply=self._replies.next())
            stream.send(bundle.SerializeToString())

    def _end_if(self, flag: int, stream: Stream, number: int) -> None:
        stream.is_last = bool(flag)
        self._waiting.append(number)

    def _send(self, answer: list[bytes]) -> None:
        """Send an answer, and of what waits as much as the client's windows take."""
        for number in [self._waiting.popleft() for _ in range(len(self._waiting))]:
            if (stream := self._streams.get(number)) is None:
                continue
            at = 0
            while (size := min(len(stream.to_send) - at, MAX_FRAME_BYTES, self._window, stream.window)) > 0:
                answer.append(frame(Frame.DATA, 0, number, bytes(stream.to_send[at : at + size])))
                self._window -= size
                stream.window -= size
                at += size
            del stream.to_send[:at]
            if stream.to_send:
                self._waiting.append(number)
            elif stream.is_last:
                answer.append(frame(Frame.HEADERS, END_HEADERS | END_STREAM, number, TRAILERS))
                del self._streams[number]
        if answer:
            self._transport.write(b"".join(answer))


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
