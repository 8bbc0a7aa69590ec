"""Faults between a client and a server: a small TCP proxy that cuts, delays, black-holes, and cuts in mid-reply.

Faults of processes (kill -9, SIGSTOP) are methods of `Stack`; a flushed Redis is `flush_redis`.

    async with Stack(folder, proxies=["redis"]) as stack:
        proxy = stack.proxy("redis")
        proxy.delay(0.2)
        proxy.black_hole()
        proxy.cut()
        proxy.cut_mid_reply(after_bytes=100)
        proxy.heal()
"""

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from redis.asyncio import Redis

from devstack.ports import HOST

CHUNK_BYTES = 65_536


class TcpProxy:
    """Passes connections on to one address, until told to misbehave."""

    def __init__(self, target: str, *, listen_port: int = 0) -> None:
        """`target` is host:port; without a `listen_port` a free one is taken."""
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listen_port = listen_port
        self._delay_seconds = 0.0
        self._refuses = False
        self._flows = asyncio.Event()
        self._flows.set()
        self._reply_budget: int | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.connections = 0
        """How many connections were made through it."""

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, HOST, self._listen_port)
        self._listen_port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and cut what is open."""
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def address(self) -> str:
        """host:port that clients connect to."""
        return f"{HOST}:{self._listen_port}"

    def delay(self, seconds: float) -> None:
        """Hold every piece of data back for so long, in both directions."""
        self._delay_seconds = seconds

    def black_hole(self) -> None:
        """Accept connections and data, but pass nothing on; what was swallowed flows again after `heal`."""
        self._flows.clear()

    def cut(self) -> None:
        """Reset every open connection; new ones are accepted."""
        for writer in list(self._open):
            writer.transport.abort()

    def refuse(self) -> None:
        """Reset every open connection and every new one."""
        self._refuses = True
        self.cut()

    def cut_mid_reply(self, *, after_bytes: int) -> None:
        """Let so many more bytes of replies through, then reset that connection; once."""
        self._reply_budget = after_bytes

    def heal(self) -> None:
        """Behave again."""
        self._delay_seconds, self._refuses, self._reply_budget = 0.0, False, None
        self._flows.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            with contextlib.suppress(OSError):
                if self._refuses:
                    return
                # A black hole swallows the handshake with the server as well.
                await self._flows.wait()
                there_reader, there_writer = await asyncio.open_connection(*self._target)
                await self._join(reader, writer, there_reader, there_writer)
        finally:
            writer.transport.abort()

    async def _join(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there_reader: asyncio.StreamReader,
        there_writer: asyncio.StreamWriter,
    ) -> None:
        self._open |= {writer, there_writer}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, there_writer))
                group.create_task(self._pump(there_reader, writer, replies=True))
        except* OSError:
            pass
        finally:
            self._open -= {writer, there_writer}
            there_writer.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, replies: bool = False) -> None:
        while data := await source.read(CHUNK_BYTES):
            await self._flows.wait()
            if self._delay_seconds:
                await asyncio.sleep(self._delay_seconds)
            if replies and self._reply_budget is not None:
                if len(data) > self._reply_budget:
                    sink.write(data[: self._reply_budget])
                    self._reply_budget = None
                    await sink.drain()
                    raise ConnectionResetError
                self._reply_budget -= len(data)
            sink.write(data)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()


async def flush_redis(url: str) -> None:
    """Empty every database of a Redis server; `url` is an administrator's."""
    async with Redis.from_url(url) as client:
        await client.flushall()
