"""A storm: faults fired at random moments while something works, each counted.

    async with Storm(check, {"kill_worker": lambda: kill(stack, "feed_svc.work")}, every_seconds=(0.5, 2.0)):
        ...

Faults come one after the other: the next one waits until the one before has been undone.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Self

from devstack.stack import Stack
from devstack.trouble import Trouble
from tests.chaos.check import Check

Fault = Callable[[], Awaitable[None]]
"""Does something bad and returns when it is over."""


class Storm:
    """Fires faults for as long as the block lasts."""

    def __init__(
        self, check: Check, faults: Mapping[str, Fault], *, every_seconds: tuple[float, float], seed: int | None = None
    ) -> None:
        """A pause of `every_seconds` (from, to) stands between two faults; all kinds fire before one fires again."""
        self._check = check
        self._faults = faults
        self._every_seconds = every_seconds
        self._draw = random.Random(seed)
        self._task: asyncio.Task[None] | None = None
        self._ending = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Begin."""
        self._task = asyncio.create_task(self._blow(), name="storm")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Fire no more, wait until the last fault is over, raise what a fault itself failed with."""
        self._ending.set()
        if self._task is not None:
            await self._task

    async def _blow(self) -> None:
        deck: list[str] = []
        while True:
            pause = self._draw.uniform(*self._every_seconds)
            try:
                await asyncio.wait_for(self._ending.wait(), pause)
            except TimeoutError:
                deck = deck or self._draw.sample(sorted(self._faults), len(self._faults))
                name = deck.pop()
                self._check.fault(name)
                await self._faults[name]()
            else:
                return


async def kill(stack: Stack, name: str) -> None:
    """Kill -9 a process and wait until the supervisor's next one is ready."""
    await _when_it_runs(stack, name)
    stack.kill(name)
    await stack.wait_ready(name)


async def freeze(stack: Stack, name: str, seconds: float) -> None:
    """Stop a process where it stands for a while (SIGSTOP), then let it go on: a zombie that believes it is alive."""
    await _when_it_runs(stack, name)
    stack.pause(name)
    await asyncio.sleep(seconds)
    try:
        stack.resume(name)
    except Trouble:  # something else has ended it meanwhile
        return


async def keep_down(stack: Stack, name: str, seconds: float) -> None:
    """Kill -9 a process, keep it down for a while, then wait until it is ready again."""
    await stack.hold(name)
    await asyncio.sleep(seconds)
    stack.release(name)
    await stack.wait_ready(name)


async def _when_it_runs(stack: Stack, name: str) -> None:
    while stack.pid(name) is None:
        await asyncio.sleep(0.02)
