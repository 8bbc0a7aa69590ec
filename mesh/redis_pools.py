"""Redis clients whose callers wait for a free connection: in line, and not longer than for an answer.

The library's own pools refuse the caller for whom no connection is left, although one becomes free a millisecond
later; its blocking pool exists for one server only, and loses wake-ups of callers that are cancelled. Here a
semaphore stands before each pool, which therefore never runs empty.

Who closes a client waits for the commands that are under way: the library would cut them off, and one that is tried
again, or was about to connect, would open a connection that nobody closes.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from redis.asyncio import ConnectionPool, RedisCluster
from redis.asyncio.cluster import ClusterPipeline
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MaxConnectionsError


class _Places:
    """As many places as there may be connections."""

    def __init__(self, count: int, *, wait_seconds: float) -> None:
        self._count = count
        self._free = asyncio.Semaphore(count)
        self._wait_seconds = wait_seconds
        self._is_closed = False

    async def take(self) -> None:
        """Take a place; `MaxConnectionsError` when none became free in time, `ConnectionError` once they are closed."""
        if self._is_closed:
            raise RedisConnectionError("the client is closed")
        if not self._free.locked():
            await self._free.acquire()  # does not wait, and so needs no timer
            return
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._free.acquire()
        except TimeoutError as error:
            raise MaxConnectionsError(f"no connection became free within {self._wait_seconds:g} s") from error

    def give_back(self) -> None:
        self._free.release()

    async def close(self) -> None:
        """Give no place any more, and return when all have come back; after two waits, for a try and a retry, go on."""
        if self._is_closed:
            return
        self._is_closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * self._wait_seconds):
                for _ in range(self._count):
                    await self._free.acquire()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        await self.take()
        try:
            yield
        finally:
            self.give_back()


class WaitingPool(ConnectionPool):
    """Connections to one server.

    `get_connection` and `release` replace the library's, which count for an observer that is not installed: that is a
    fifth of the cost of a command.
    """

    def __init__(self, *args: Any, wait_seconds: float, **options: Any) -> None:
        super().__init__(*args, **options)
        self._places = _Places(self.max_connections, wait_seconds=wait_seconds)

    async def get_connection(self, command_name: str | None = None, *keys: Any, **options: Any) -> Any:
        """Return a connection that is ready; `MaxConnectionsError` when none became free in time."""
        await self._places.take()
        try:
            connection = self.get_available_connection()  # type: ignore[no-untyped-call]
        except BaseException:
            self._places.give_back()
            raise
        try:
            await self.ensure_connection(connection)
        except BaseException:
            await self.release(connection)
            raise
        return connection

    async def release(self, connection: Any) -> None:
        """Take a connection back."""
        try:
            self._in_use_connections.remove(connection)
            if connection.should_reconnect():
                await connection.disconnect()
            self._available_connections.append(connection)
        finally:
            self._places.give_back()

    async def aclose(self) -> None:
        """Let what is under way end, then disconnect."""
        await self._places.close()
        await super().aclose()


class WaitingSentinelPool(WaitingPool, SentinelConnectionPool):
    """Connections to whichever server Sentinel calls the primary, or to its replicas."""


class WaitingCluster(RedisCluster):
    """A client of a cluster; each node has as many connections as there may be commands and pipelines under way."""

    def __init__(self, *, max_connections: int, wait_seconds: float, **options: Any) -> None:
        # A pipeline sends on its own the commands of slots that have moved, while it keeps its place. So pipelines have
        # places of their own: else they could wait for each other.
        super().__init__(max_connections=2 * max_connections, **options)
        self._commands = _Places(max_connections, wait_seconds=wait_seconds)
        self._pipelines = _Places(max_connections, wait_seconds=wait_seconds)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run a command."""
        async with self._commands.one():
            return await super().execute_command(*args, **options)

    async def aclose(self) -> None:
        """Let what is under way end, then disconnect."""
        await self._pipelines.close()
        await self._commands.close()
        await super().aclose()

    def pipeline(self, transaction: Any = None, shard_hint: Any = None) -> ClusterPipeline:
        """Return a pipeline."""
        return _WaitingPipeline(self, self._pipelines, transaction)  # type: ignore[abstract]  # as the library does


class _WaitingPipeline(ClusterPipeline):
    def __init__(self, client: WaitingCluster, places: _Places, transaction: Any) -> None:
        super().__init__(client, transaction)
        self._places = places

    async def execute(self, raise_on_error: bool = True, allow_redirections: bool = True) -> list[Any]:
        async with self._places.one():
            return await super().execute(raise_on_error, allow_redirections)
