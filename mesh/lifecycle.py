"""How a process starts and ends: in order, and in reverse.

    async def start(process: Process) -> None:
        postgres = await process.enter(mesh.postgres.connect(config.postgres))
        server = await process.enter(...)
        process.drain(server.drain)
        process.loop("outbox_relay", relay.run)

    raise SystemExit(lifecycle.main(start))

SIGTERM or SIGINT: drain steps (newest first) finish what is in flight, loops are cancelled, contexts are left in
reverse order, status 0. A second signal ends the process at once. A loop that ends or raises stops the process with
status 1: a process that can't do its work must not look alive. `RefusedToServe` at the start: the reason is logged,
status 3. What fails while stopping is logged, and the rest is stopped all the same; what hangs is left behind.
"""

import asyncio
import gc
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeVar

import uvloop

from mesh import cancellation
from mesh.errors import RefusedToServe, leaves, told_by
from mesh.telemetry import get_logger

T = TypeVar("T")
_log = get_logger(__name__)

FAILED = 1
REFUSED = 3

CLOSE_SECONDS = 15.0
"""How long loops and contexts may take to end after the drain: with it, under the 30 s that container engines give."""
YOUNG_OBJECTS = 50_000
"""How many objects may be new before they are searched for garbage: more than requests in flight are made of."""


class Process:
    """What a starting process acquires, so that it is given back in reverse order."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._drains: list[Callable[[], Awaitable[None]]] = []
        self._loops: dict[asyncio.Task[None], str] = {}
        self._stopping = asyncio.Event()
        self._signals = 0
        self.status = 0

    async def enter(self, context: AbstractAsyncContextManager[T]) -> T:
        """Enter a context that is left when the process stops."""
        return await self._stack.enter_async_context(context)

    def drain(self, step: Callable[[], Awaitable[None]]) -> None:
        """Add what must happen first when the process stops, such as to finish calls in flight."""
        self._drains.append(step)

    def loop(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run a loop for as long as the process lives; its end, by error or not, stops the process with status 1."""

        async def body() -> None:
            await run()

        task = asyncio.create_task(body(), name=name)
        self._loops[task] = name
        task.add_done_callback(self._on_loop_end)

    def stop(self) -> None:
        """Ask the process to stop; a second time, end at once."""
        self._signals += 1
        if self._signals > 1:
            os._exit(FAILED)
        self._stopping.set()

    async def wait(self) -> None:
        """Return when the process was asked to stop."""
        await self._stopping.wait()

    async def shut_down(self) -> None:
        """Finish what is in flight, then end the loops."""
        await self.finish()
        await self.end_loops()

    async def finish(self) -> None:
        """Run the drain steps, newest first; one that fails does not keep the others from theirs."""
        self._stopping.set()
        for step in reversed(self._drains):
            try:
                await step()
            except Exception:  # the others must still finish what they have in flight
                _log.exception("drain_failed")
                self.status = FAILED

    async def end_loops(self) -> None:
        """Cancel the loops and wait for their end."""
        await cancellation.end(self._loops)

    def _on_loop_end(self, task: asyncio.Task[None]) -> None:
        if self._stopping.is_set():
            return
        # Cancelled by itself, as by a library's own task, is dead too.
        _log.error("loop_died", loop=self._loops[task], exc_info=None if task.cancelled() else task.exception())
        self.status = FAILED
        self._stopping.set()


def _leave_behind() -> None:
    _log.error("stop_hung", seconds=CLOSE_SECONDS)
    os._exit(FAILED)


async def run(start: Callable[[Process], Awaitable[None]]) -> int:
    """Start, wait for a signal or a dead loop, stop; return the exit status.

    Once calls in flight are finished, the process ends within `CLOSE_SECONDS`, whatever hangs.
    """
    stack = AsyncExitStack()
    process = Process(stack)
    hung: asyncio.TimerHandle | None = None
    events = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        events.add_signal_handler(number, process.stop)
    try:
        async with stack:
            try:
                await _start_unless_stopped(process, start)
            except Exception as error:  # told in the log, whatever it is, and what was started is stopped
                process.status = _tell_failed_start(error)
            else:
                await process.wait()
                _log.info("stopping")
            await process.finish()
            hung = events.call_later(CLOSE_SECONDS, _leave_behind)
            await process.end_loops()
    except Exception:  # raised by a context that was left; the others were left too
        _log.exception("stop_failed")
        process.status = process.status or FAILED
    finally:
        if hung is not None:
            hung.cancel()
    return process.status


def _tell_failed_start(error: Exception) -> int:
    """Log why the start failed, in a sentence where we know it; return the exit status."""
    for one in leaves(error):
        if isinstance(one, RefusedToServe):
            _log.error("refused_to_serve", why=str(one))
            return REFUSED
    if (told := told_by(error)) is not None:  # a dependency is away: what started us starts us again
        _log.error("start_failed", why=str(told), cause=repr(told.__cause__))
    else:
        _log.error("start_failed", exc_info=error)
    return FAILED


async def _start_unless_stopped(process: Process, start: Callable[[Process], Awaitable[None]]) -> None:
    """Start; a signal meanwhile ends the attempt, which may be waiting for a server that never answers."""
    this = asyncio.current_task()
    is_starting = True

    def interrupt(_: asyncio.Task[None]) -> None:
        if is_starting and this is not None:
            this.cancel()

    stopped = asyncio.create_task(process.wait(), name="stop during start")
    stopped.add_done_callback(interrupt)
    try:
        await start(process)
        spare_what_stays()
        _log.info("ready")
    except asyncio.CancelledError:
        if not stopped.done() or this is None or this.uncancel() > 0:
            raise  # it was not the signal
    finally:
        is_starting = False
        stopped.cancel()


def spare_what_stays() -> None:
    """Leave what a started process is made of (modules, schemas, pools) out of garbage collections.

    It never becomes garbage, and to look through it held the gateway for 36 ms at every full collection. What requests
    in flight are made of is not garbage either, and some thousand objects: Python's threshold of 700 had it looked
    through 150 times a second, 3 % of a busy gateway.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


def main(start: Callable[[Process], Awaitable[Any]]) -> int:
    """Run a process on uvloop and return its exit status."""
    return uvloop.run(run(start))
