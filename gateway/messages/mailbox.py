"""A bounded queue between one writer and one reader.

asyncio's own serves many of both, and takes 3 KiB for that when it is empty: too much for thousands of idle devices.
"""

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class MailboxFull(Exception):
    """There is no room."""


class Mailbox(Generic[T]):
    """What waits for its reader, in order."""

    __slots__ = ("_most", "_reader", "_things", "_writer")

    def __init__(self, most: int) -> None:
        self._most = most
        self._things: list[T] = []
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._things)

    def put_at_once(self, thing: T) -> None:
        """Add a thing; `MailboxFull` without room."""
        if len(self._things) >= self._most:
            raise MailboxFull
        self._things.append(thing)
        _wake(self._reader)

    async def put(self, thing: T) -> None:
        """Add a thing as soon as there is room."""
        while len(self._things) >= self._most:
            self._writer = asyncio.get_running_loop().create_future()
            await self._writer
        self.put_at_once(thing)

    async def get(self) -> T:
        """Take the oldest thing, as soon as there is one."""
        while not self._things:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        _wake(self._writer)
        return self._things.pop(0)

    def clear(self) -> None:
        """Drop whatever waits."""
        self._things.clear()
        _wake(self._writer)


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
