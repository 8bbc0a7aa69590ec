"""Calls in bundles, the caller's side: a stream to each process behind a channel.

A channel's unary calls take a lane when there is one, and travel alone otherwise: while none is known yet, when a
process does not answer on streams, and when a request is long. So lanes make calls cheap, and nothing depends on them.
"""

import asyncio
import itertools
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from typing import Any

import grpc
from grpc.aio import AioRpcError

from heliograph.mesh.v1.bundle_service_pb2 import BundledOutcome, CarryRequest, CarryResponse
from mesh import cancellation
from mesh.errors import DeadlineExceeded, Unavailable
from mesh.grpc.bundles import BUNDLE_BYTES, OWN_BYTES, BundleWriter
from mesh.grpc.calls import BUNDLES

CARRY = f"/{BUNDLES}/Carry"
OPEN_SECONDS = 1.0
"""How long a process may take to answer on a new stream."""
LOOK_SECONDS = 1.0
"""How often, for each lane, processes are looked for that have none yet, while calls are made."""
MAX_LANES = 16
"""A name with more processes is served by so many of them; which ones differs from caller to caller."""
SILENT_SECONDS = 0.25
"""A process that owes answers and says nothing for so long may be frozen: others are asked."""


class LaneLost(Unavailable):
    """The stream broke before the answer came, or the process is silent."""

    def __init__(self, *, was_sent: bool) -> None:
        super().__init__()
        self.was_sent = was_sent
        """Whether the call may have arrived."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A call without an answer yet."""

    answer: "asyncio.Future[BundledOutcome]"
    since: float
    may_move: bool


class Lane:
    """A stream to one process."""

    def __init__(
        self,
        stream: Any,
        process_name: str,
        *,
        on_end: Callable[["Lane"], None],
        on_silence: Callable[["Lane"], None],
        linger_seconds: float,
    ) -> None:
        self.process_name = process_name
        self.is_silent = False
        self._stream = stream
        self._on_end = on_end
        self._on_silence = on_silence
        self._events = asyncio.get_running_loop()
        self._numbers = itertools.count(1)
        self._sent = 0
        self._waiting: dict[int, _Waiting] = {}
        self._heard_at = self._events.time()
        self._watch: asyncio.TimerHandle | None = None
        self._is_closing = False
        self._writer = BundleWriter(CarryRequest, self._write, linger_seconds=linger_seconds)
        self._reader = asyncio.create_task(self._read_all(), context=Context())

    async def call(
        self, method: str, request: bytes, *, seconds: float, traceparent: str, authorization: str, may_move: bool
    ) -> BundledOutcome:
        """Return how a call ended; `DeadlineExceeded` after `seconds`, `LaneLost` when the stream broke.

        A call that `may_move` gets `LaneLost` also when this process falls silent and another does not.
        """
        number = next(self._numbers)
        answer: asyncio.Future[BundledOutcome] = self._events.create_future()
        self._waiting[number] = _Waiting(answer, self._events.time(), may_move)
        self._writer.open(len(request) + len(authorization) + OWN_BYTES).calls.add(
            number=number,
            method=method,
            request=request,
            timeout_ms=max(1, int(seconds * 1000)),
            traceparent=traceparent,
            authorization=authorization,
        )
        if self._watch is None:
            self._watch = self._events.call_later(SILENT_SECONDS, self._look)
        timer = self._events.call_later(seconds, _expire, answer)
        try:
            return await answer
        except (asyncio.CancelledError, DeadlineExceeded, LaneLost):
            if number in self._waiting:  # the stream lives
                self._writer.open(OWN_BYTES).cancelled.append(number)
            raise
        finally:
            timer.cancel()
            self._waiting.pop(number, None)
            self._end_if_done()

    def release(self) -> None:
        """Let calls that may move do so."""
        for one in self._waiting.values():
            if one.may_move and not one.answer.done():
                one.answer.set_exception(LaneLost(was_sent=True))

    async def close(self) -> None:
        """End the stream; calls that wait are lost."""
        await cancellation.end([self._reader])

    def _look(self) -> None:
        """Find out whether the process is silent, as long as it owes answers."""
        self._watch = None
        if (oldest := next(iter(self._waiting.values()), None)) is None:
            return
        left = max(oldest.since, self._heard_at) + SILENT_SECONDS - self._events.time()
        if left <= 0:
            self.is_silent = True
            self._on_silence(self)
            left = SILENT_SECONDS
        self._watch = self._events.call_later(left, self._look)

    async def _write(self, bundle: CarryRequest) -> None:
        if bundle.calls:
            self._sent = bundle.calls[-1].number
        await self._stream.write(bundle)

    async def _read_all(self) -> None:
        try:
            while (bundle := await self._stream.read()) is not grpc.aio.EOF:
                self._take(bundle)
        except AioRpcError:
            pass  # whoever waits is told
        finally:
            self._stream.cancel()
            self._on_end(self)
            if self._watch is not None:
                self._watch.cancel()
            for number, one in self._waiting.items():
                if not one.answer.done():
                    one.answer.set_exception(LaneLost(was_sent=number <= self._sent))
            self._waiting.clear()

    def _take(self, bundle: CarryResponse) -> None:
        self.is_silent = False
        self._heard_at = self._events.time()
        for outcome in bundle.outcomes:
            one = self._waiting.get(outcome.number)
            if one is not None and not one.answer.done():
                one.answer.set_result(outcome)
        if bundle.is_closing:
            self._is_closing = True
            self._on_end(self)
            self._end_if_done()

    def _end_if_done(self) -> None:
        """End a stream that the other side wants to end, once the last answer is there."""
        if self._is_closing and not self._waiting:
            self._reader.cancel()


def _expire(answer: "asyncio.Future[BundledOutcome]") -> None:
    if not answer.done():
        answer.set_exception(DeadlineExceeded())


class Lanes:
    """The streams to all processes behind a channel, found through its own balancing."""

    def __init__(self, channel: grpc.aio.Channel, *, linger_seconds: float = 0.0) -> None:
        self._linger_seconds = linger_seconds
        self._carry = channel.stream_stream(
            CARRY, request_serializer=CarryRequest.SerializeToString, response_deserializer=CarryResponse.FromString
        )
        self._lanes: dict[str, Lane] = {}
        self._are_known = False
        self._was_used = False
        self._turn = 0
        self._picked: Lane | None = None
        self._keeper: asyncio.Task[None] | None = None

    def pick(self, size: int) -> Lane | None:
        """Return the lane for a request of `size` bytes; `None`: it must travel alone.

        All calls of one turn of the event loop get the same lane, so that they share a bundle; the next turn the next.
        """
        self._was_used = True
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep(), context=Context())
        if not self._are_known or size > BUNDLE_BYTES:
            return None
        if self._picked is None and self._lanes:
            self._turn += 1
            lanes = self._lively() or [*self._lanes.values()]
            self._picked = lanes[self._turn % len(lanes)]
            asyncio.get_running_loop().call_soon(self._end_turn)
        return self._picked

    async def close(self) -> None:
        """End all streams."""
        if self._keeper is not None:
            await cancellation.end([self._keeper])
        await asyncio.gather(*(lane.close() for lane in [*self._lanes.values()]))

    def _lively(self) -> list[Lane]:
        return [lane for lane in self._lanes.values() if not lane.is_silent]

    def _end_turn(self) -> None:
        self._picked = None

    async def _keep(self) -> None:
        """Look for processes as long as calls are made."""
        try:
            while self._was_used:
                self._was_used = False
                await self._look()
                self._are_known = True
                await asyncio.sleep(LOOK_SECONDS * max(1, len(self._lanes)))
        finally:
            self._keeper = None

    async def _look(self) -> None:
        """Open a lane to every process that has none.

        The channel deals out streams in turn: with one more than there are lanes, one comes to a process without a
        lane, should there be any.
        """
        while len(self._lanes) < MAX_LANES:
            known = len(self._lanes)
            await asyncio.gather(*(self._open() for _ in range(known + 1)))
            if len(self._lanes) <= known:
                return

    async def _open(self) -> None:
        stream = self._carry()
        first: Any
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                first = await stream.read()
        except (AioRpcError, TimeoutError):
            first = grpc.aio.EOF
        except BaseException:
            stream.cancel()
            raise
        if first is grpc.aio.EOF or first.is_closing or first.process_name in self._lanes:
            stream.cancel()
        else:
            self._lanes[first.process_name] = Lane(
                stream,
                first.process_name,
                on_end=self._lose,
                on_silence=self._pass_over,
                linger_seconds=self._linger_seconds,
            )

    def _pass_over(self, lane: Lane) -> None:
        """Ask others what a silent process owes, if there are any."""
        self._picked = None
        if self._lively():
            lane.release()

    def _lose(self, lane: Lane) -> None:
        if self._lanes.get(lane.process_name) is lane:
            del self._lanes[lane.process_name]
        if self._picked is lane:
            self._picked = None
