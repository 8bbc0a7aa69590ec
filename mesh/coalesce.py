"""Calls that come while one is under way go together in the next: one statement, one commit, for all of them."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Coalescer(Generic[T, R]):
    """Turns many calls with one item each into few calls with many.

    The first item goes at once and alone; what arrives meanwhile goes together, so batches grow with the load and an
    idle process waits for nothing. A failure of a batch is the failure of each of its items.
    """

    def __init__(
        self, call: Callable[[list[T]], Awaitable[list[R]]], *, most: int, linger_seconds: float = 0.0
    ) -> None:
        """`call` takes up to `most` items and returns their results in the same order.

        While items come in company, a batch waits `linger_seconds` for more: a little latency for far fewer calls.
        """
        self._call = call
        self._most = most
        self._linger_seconds = linger_seconds
        self._is_busy = False
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._work: asyncio.Task[None] | None = None

    async def __call__(self, item: T) -> R:
        """Return the item's result."""
        result: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, result))
        if self._work is None:
            # A task of its own, with nobody's deadline or identity: a caller that gives up takes nobody with it.
            self._work = asyncio.create_task(self._serve_all(), context=Context())
        return await result

    async def _serve_all(self) -> None:
        try:
            while self._waiting:
                if self._linger_seconds and (self._is_busy or len(self._waiting) > 1):
                    await asyncio.sleep(self._linger_seconds)
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                self._is_busy = len(batch) > 1
                await self._serve([(item, waiter) for item, waiter in batch if not waiter.done()])
        finally:
            self._work = None
            # Cancelled in mid-work: nobody else is serving those that wait.
            for _, waiter in self._waiting:
                waiter.cancel()
            self._waiting = []

    async def _serve(self, batch: list[tuple[T, asyncio.Future[R]]]) -> None:
        if not batch:
            return
        try:
            results = await self._call([item for item, _ in batch])
        except asyncio.CancelledError:
            for _, waiter in batch:
                waiter.cancel()
            raise
        except Exception as error:  # whatever it is, every waiter is told
            for _, waiter in batch:
                if not waiter.done():
                    waiter.set_exception(error)
        else:
            for (_, waiter), result in zip(batch, results, strict=True):
                if not waiter.done():
                    waiter.set_result(result)
