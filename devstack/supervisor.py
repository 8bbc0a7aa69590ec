"""Keeps child processes running: starts them, waits until they answer, restarts what crashes, stops them in reverse."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from devstack.guardian import Guardian
from devstack.process import Process, Spec, log_end
from devstack.trouble import ConfigurationTrouble, Trouble

FIRST_PAUSE_SECONDS = 0.2
"""Pause before the first restart; doubled at each further one."""
LONGEST_PAUSE_SECONDS = 5.0
CALM_SECONDS = 20.0
"""A child that ran this long starts again with the first pause."""
READY_SECONDS = 60.0
"""How long a child may take until it answers."""
TRIES = 4
"""Who waits for a child gives up when it has crashed so many times meanwhile."""
CONFIGURATION_STATUS = 2
"""Exit status by which a process says that its settings are wrong: starting it again won't help."""


class Status(StrEnum):
    """What a child is doing."""

    STARTING = "starting"
    READY = "ready"
    CRASHED = "crashed"
    HELD = "held"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Report:
    """A child as state.json and `status` show it."""

    pid: int | None
    status: Status
    starts: int


class Child:
    """One supervised process."""

    def __init__(self, spec: Spec, changed: Callable[[], None], guardian: Guardian) -> None:
        self.spec = spec
        self.status = Status.STOPPED
        self.starts = 0
        self._changed = changed
        self._guardian = guardian
        self._process: Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._released = asyncio.Event()
        self._released.set()
        self._ready = asyncio.Event()
        self._failure: Trouble | None = None

    @property
    def pid(self) -> int | None:
        """Process id, or `None` while there is no process."""
        return self._process.pid if self._process and self._process.is_running else None

    def start(self) -> None:
        """Begin to keep it running."""
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.spec.name}")

    async def wait_ready(self, within_seconds: float = READY_SECONDS) -> None:
        """Wait until it answers; `Trouble` with the end of its log if it doesn't in time, or can't."""
        deadline = time.monotonic() + within_seconds
        last_start = self.starts + TRIES
        while not self._ready.is_set():
            if self._failure is not None:
                raise self._failure
            if self._keeper is not None and self._keeper.done():
                self._keeper.result()  # it could not even be started: raises why
            if self.status is Status.CRASHED and self.starts >= last_start:
                raise Trouble(f"{self.spec.name} ends as soon as it is started.{log_end(self.spec.log)}")
            if time.monotonic() > deadline:
                raise Trouble(f"{self.spec.name} wasn't ready within {within_seconds:g} s.{log_end(self.spec.log)}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ready.wait(), 0.05)

    async def stop(self) -> None:
        """Stop it for good."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        if self._process is not None and self._process.is_running:
            await self._process.stop()
            self._guardian.forget(self._process.pid)
        self._set(Status.STOPPED)

    async def restart(self) -> None:
        """Stop it in an orderly way and wait until it is ready again."""
        await self.stop()
        self.start()
        await self.wait_ready()

    def signal(self, number: int) -> None:
        """Send a signal to the process."""
        if self._process is None or not self._process.is_running:
            raise Trouble(f"{self.spec.name} is not running")
        if number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            # It is not ready any more from now on, not from when its end was noticed.
            self._ready.clear()
        self._process.signal(number)

    async def hold(self) -> None:
        """Keep it down: kill it if it runs, don't start it until `release`."""
        self._released.clear()
        if self._process is not None and self._process.is_running:
            self._ready.clear()
            self._process.signal(signal.SIGKILL)
            await self._process.exited()

    def release(self) -> None:
        """Let it run again."""
        self._released.set()

    async def _keep(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            if not self._released.is_set():
                self._set(Status.HELD)
                await self._released.wait()
                pause = FIRST_PAUSE_SECONDS
            began = time.monotonic()
            status = await self._run_once()
            if status == CONFIGURATION_STATUS and self.starts == 1:
                self._failure = ConfigurationTrouble(f"{self.spec.name} refuses its settings.{log_end(self.spec.log)}")
                return
            if not self._released.is_set():
                continue
            self._set(Status.CRASHED)
            if time.monotonic() - began > CALM_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _run_once(self) -> int:
        process = self._process = Process.start(self.spec)
        self._guardian.watch(process.pid)
        self.starts += 1
        self._set(Status.STARTING)
        try:
            async with asyncio.TaskGroup() as group:
                probe = group.create_task(self._probe())
                status = await process.exited()
                probe.cancel()
        finally:
            self._ready.clear()
        process.kill_group()
        self._guardian.forget(process.pid)
        return status

    async def _probe(self) -> None:
        """Ask until it answers, then say that it is ready."""
        pause = 0.02
        while True:
            try:
                await self.spec.ready()
            except Exception:  # noqa: S110 - whatever it is, the server doesn't answer yet
                pass
            else:
                self._ready.set()
                self._set(Status.READY)
                return
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.25)

    def _set(self, status: Status) -> None:
        self.status = status
        if status is not Status.READY:
            self._ready.clear()
        self._changed()


class Supervisor:
    """The children of one stack, in the order in which they were started."""

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        """`changed` is called whenever a child's status or process id has changed."""
        self._changed = changed
        self._groups: list[list[Child]] = []
        self._guardian: Guardian | None = None

    @property
    def children(self) -> dict[str, Child]:
        """Every child by name."""
        return {child.spec.name: child for group in self._groups for child in group}

    @property
    def reports(self) -> dict[str, Report]:
        """How every child is, by name."""
        return {
            name: Report(pid=child.pid, status=child.status, starts=child.starts)
            for name, child in self.children.items()
        }

    def child(self, name: str) -> Child:
        """A child by name; `ConfigurationTrouble` that lists the names if there is none."""
        children = self.children
        if name not in children:
            known = ", ".join(children) or "none"
            raise ConfigurationTrouble(f"There is no process {name}. Those of this stack: {known}")
        return children[name]

    async def start(self, specs: Iterable[Spec]) -> None:
        """Start a group of children side by side and wait until each of them is ready."""
        guardian = self._guardian = self._guardian or Guardian()
        group = [Child(spec, self._changed, guardian) for spec in specs]
        self._groups.append(group)
        for child in group:
            child.start()
        await all_of(child.wait_ready() for child in group)

    async def stop(self) -> None:
        """Stop all: the group that was started last goes first."""
        for group in reversed(self._groups):
            await asyncio.gather(*(child.stop() for child in group))
        if self._guardian is not None:
            self._guardian.close()
            self._guardian = None


async def all_of(awaitables: Iterable[Awaitable[None]]) -> None:
    """Wait for all; the first failure is raised as it is, after the others were cancelled."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
