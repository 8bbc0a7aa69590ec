"""Measures how long the event loop is held."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

EVERY_SECONDS = 0.002


class LoopProbe:
    """The longest time for which one step kept the loop, in CPU time of its thread: other processes don't count."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def run(self) -> None:
        used = time.thread_time()
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            now = time.thread_time()
            self.longest = max(self.longest, now - used)
            used = now

    def take(self) -> float:
        """Return the longest so far, and start anew."""
        longest, self.longest = self.longest, 0.0
        return longest


@asynccontextmanager
async def probed() -> AsyncIterator[LoopProbe]:
    """A probe at work; what the whole run of tests has left to collect is not the gateway's doing."""
    gc.collect()
    gc.freeze()
    probe = LoopProbe()
    task = asyncio.create_task(probe.run())
    await asyncio.sleep(0)
    try:
        yield probe
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        gc.unfreeze()
