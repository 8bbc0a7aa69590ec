"""Load: open loop for latencies, closed loop for capacity.

Open loop means that calls are sent at their intended moments (Poisson arrivals) whether or not earlier ones have been
answered, and that latency counts from the intended moment. A driver that waits for answers stops sending while the
server stalls and so hides the stall: one that froze 1 s in 5 looked like a p90 of 3 ms where the truth was 500.
"""

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass

from benchmarks.alarm import Alarm
from mesh.errors import HeliographError

Call = Callable[[int], Awaitable[object]]
"""One call; it is given its number, from 0."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one phase of load."""

    seconds: float
    """From the first intended moment to the last answer."""
    latencies_ms: tuple[float, ...]
    """Of the answered calls, ascending."""
    failures: Counter[str]
    """Failed calls by reason."""
    driver_late_ms: float
    """p99 of how late the driver itself sent; a large value means that the driver, not the server, was the limit."""

    @property
    def answered(self) -> int:
        """How many calls were answered."""
        return len(self.latencies_ms)

    @property
    def failed(self) -> int:
        """How many calls failed."""
        return sum(self.failures.values())

    @property
    def per_s(self) -> float:
        """Answered calls per second."""
        return self.answered / self.seconds if self.seconds else 0.0

    def percentile_ms(self, percent: float) -> float:
        """Return a percentile of the latencies (nearest rank); infinity when nothing was answered."""
        return percentile(self.latencies_ms, percent)


def percentile(ascending: tuple[float, ...], percent: float) -> float:
    """Return the nearest-rank percentile of ascending values; infinity when there are none."""
    if not ascending:
        return float("inf")
    return ascending[max(0, math.ceil(len(ascending) * percent / 100) - 1)]


async def open_loop(
    call: Call, *, per_s: float, seconds: float, seed: int = 1, intended: dict[int, float] | None = None
) -> Outcome:
    """Send calls at Poisson arrivals of rate `per_s` for `seconds`, then wait for the last answer.

    `intended` is filled with the moment (of `time.monotonic`) at which each call, by number, was to be sent.
    """
    draw = random.Random(seed)
    latencies: list[float] = []
    lateness: list[float] = []
    failures: Counter[str] = Counter()
    begin = time.monotonic() + 0.01
    at = begin

    async def one(number: int, intended: float) -> None:
        lateness.append(time.monotonic() - intended)
        if await _succeeds(call, number, failures):
            latencies.append(time.monotonic() - intended)

    with closing(Alarm()) as alarm:
        async with asyncio.TaskGroup() as group:
            number = 0
            while at < begin + seconds:
                await alarm.wait_until(at)
                if intended is not None:
                    intended[number] = at
                group.create_task(one(number, at))
                number += 1
                at += draw.expovariate(per_s)
    return _outcome(time.monotonic() - begin, latencies, failures, lateness)


async def closed_loop(call: Call, *, callers: int, seconds: float) -> Outcome:
    """Keep `callers` calls in flight for `seconds`: what the server can do at most. Don't quote its latencies."""
    latencies: list[float] = []
    failures: Counter[str] = Counter()
    begin = time.monotonic()
    numbers = iter(range(1 << 62))

    async def caller() -> None:
        while (sent := time.monotonic()) < begin + seconds:
            if await _succeeds(call, next(numbers), failures):
                latencies.append(time.monotonic() - sent)

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())
    return _outcome(time.monotonic() - begin, latencies, failures, [])


async def _succeeds(call: Call, number: int, failures: Counter[str]) -> bool:
    try:
        await call(number)
    except HeliographError as error:
        failures[error.reason] += 1
    except Exception as error:
        failures[type(error).__name__] += 1
    else:
        return True
    return False


def _outcome(seconds: float, latencies: list[float], failures: Counter[str], lateness: list[float]) -> Outcome:
    ascending = tuple(sorted(value * 1000 for value in latencies))
    late = percentile(tuple(sorted(value * 1000 for value in lateness)), 99) if lateness else 0.0
    return Outcome(seconds, ascending, failures, late)
