"""A crowd of apps: asks in closed or open loop, and notes what became of it.

It shares the machine with what it loads, so an ask is a write and a callback: no task, no timer, no stream.
"""

import asyncio
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from benchmarks.load import percentile

GOOD_SECONDS = 1.0
PATIENCE_SECONDS = 3.0
STEP_SECONDS = 0.002
"""The crowd wakes no more often: a timer for each ask would cost more than the ask."""


class Answer(Enum):
    """What an answer is."""

    GOOD = auto()
    REFUSED = auto()
    WRONG = auto()


Told = Callable[[Answer], None]


class Way(Protocol):
    """How a crowd reaches a gateway."""

    def ask(self, told: Told) -> None:
        """Ask the next thing; `told` is called once with what the answer is, or never."""


@dataclass(slots=True)
class Phase:
    """What became of one phase of requests."""

    seconds: float
    good: list[tuple[float, float]] = field(default_factory=list)
    """When it was meant to be asked, in seconds from the start; its latency in milliseconds."""
    refused: list[tuple[float, float]] = field(default_factory=list)
    bad_at: list[float] = field(default_factory=list)
    """Those that were answered too late, wrongly or never."""
    driver_late_ms: list[float] = field(default_factory=list)
    """How late the crowd itself was with each request."""

    def note(self, answer: Answer, meant_at: float, took: float) -> None:
        """Note an answer, in seconds."""
        if answer is Answer.GOOD and took <= GOOD_SECONDS:
            self.good.append((meant_at, took * 1000))
        elif answer is Answer.REFUSED:
            self.refused.append((meant_at, took * 1000))
        else:
            self.bad_at.append(meant_at)

    @property
    def asked(self) -> int:
        """How many requests were meant to be made."""
        return len(self.good) + len(self.refused) + len(self.bad_at)

    @property
    def bad(self) -> int:
        """How many were answered too late, wrongly or never."""
        return len(self.bad_at)

    @property
    def good_per_s(self) -> float:
        """Good answers a second."""
        return len(self.good) / self.seconds

    @property
    def refused_ms(self) -> list[float]:
        """How long refusals took."""
        return [took for _, took in self.refused]

    @property
    def p99_ms(self) -> float:
        """p99 of good answers."""
        return percentile(tuple(sorted(took for _, took in self.good)), 99)

    def since(self, second: float) -> "Phase":
        """The part that was meant to be asked at or after a second."""
        return Phase(
            self.seconds - second,
            [one for one in self.good if one[0] >= second],
            [one for one in self.refused if one[0] >= second],
            [at for at in self.bad_at if at >= second],
        )


class Crowd:
    """Asks one gateway."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._loop = asyncio.get_running_loop()
        self._draw = random.Random(3)
        self._numbers = itertools.count()

    async def insist(self, apps: int, seconds: float) -> Phase:
        """`apps` that each ask again as soon as they are answered."""
        phase = Phase(seconds)
        began = self._loop.time()
        open_ones: dict[int, float] = {}

        def ask() -> None:
            if (now := self._loop.time()) < began + seconds:
                self._ask(phase, began, now, open_ones, then=ask)

        for _ in range(apps):
            ask()
        await asyncio.sleep(seconds)
        return await self._ended(phase, began, open_ones)

    async def come(self, per_s: float, seconds: float) -> Phase:
        """Requests at random moments, `per_s` on average, whatever the answers."""
        phase = Phase(seconds)
        at = began = self._loop.time()
        open_ones: dict[int, float] = {}
        while at < began + seconds:
            if (pause := at - self._loop.time()) > 0:
                await asyncio.sleep(max(pause, STEP_SECONDS))
            self._ask(phase, began, at, open_ones)
            at += self._draw.expovariate(per_s)
        return await self._ended(phase, began, open_ones)

    def _ask(
        self,
        phase: Phase,
        began: float,
        meant_at: float,
        open_ones: dict[int, float],
        then: Callable[[], None] | None = None,
    ) -> None:
        number, asked_at = next(self._numbers), self._loop.time()
        open_ones[number] = meant_at
        phase.driver_late_ms.append((asked_at - meant_at) * 1000)

        def told(answer: Answer) -> None:
            if open_ones.pop(number, None) is None:
                return  # patience had ended
            # To refuse takes no longer because the crowd itself was late.
            since = asked_at if answer is Answer.REFUSED else meant_at
            phase.note(answer, meant_at - began, self._loop.time() - since)
            if then is not None:
                then()

        self._way.ask(told)

    async def _ended(self, phase: Phase, began: float, open_ones: dict[int, float]) -> Phase:
        """Wait for the last answers; who has none when patience ends, has none."""
        until = self._loop.time() + PATIENCE_SECONDS
        while open_ones and self._loop.time() < until:
            await asyncio.sleep(0.05)
        for meant_at in open_ones.values():
            phase.bad_at.append(meant_at - began)
        open_ones.clear()
        return phase
