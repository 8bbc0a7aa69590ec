"""Single flight: callers who ask for the same thing at the same time share one computation."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class SingleFlight(Generic[K, T]):
    """One computation a key at a time; at most `limit` of different keys side by side.

    A caller that is cancelled leaves the computation to the others; when it was the last one, it ends too.
    """

    def __init__(self, *, limit: int = 64) -> None:
        self._running: dict[K, _Shared[T]] = {}
        self._places = asyncio.Semaphore(limit)

    async def share(self, key: K, make: Callable[[], Awaitable[T]]) -> T:
        """Return what the running computation of this key returns, or start one."""
        shared = self._running.get(key)
        if shared is None:
            shared = self._running[key] = _Shared(asyncio.ensure_future(self._run(key, make)))
        shared.waiting += 1
        try:
            return await asyncio.shield(shared.task)
        finally:
            shared.waiting -= 1
            if not shared.waiting and not shared.task.done():
                shared.task.cancel()

    async def _run(self, key: K, make: Callable[[], Awaitable[T]]) -> T:
        try:
            async with self._places:
                return await make()
        finally:
            self._running.pop(key, None)


class _Shared(Generic[T]):
    def __init__(self, task: "asyncio.Future[T]") -> None:
        self.task = task
        self.waiting = 0
