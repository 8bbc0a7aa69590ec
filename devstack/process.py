"""One child process: how it is started, watched and stopped."""

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from devstack.accounts import Account, launched


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What a child process is and when it is ready."""

    name: str
    """Name by which it is killed, held and found in state.json: `redis`, `feed_svc.work`."""
    command: tuple[str, ...]
    """Program (an absolute path) and arguments."""
    environment: Mapping[str, str]
    """Its whole environment; nothing is inherited."""
    folder: Path
    """Its working folder."""
    log: Path
    """File to which its output is appended."""
    ready: Callable[[], Awaitable[None]]
    """Raises as long as the process doesn't answer in its own protocol."""
    before_start: Callable[[], None] | None = None
    """Runs before every start."""
    after_clean_stop: Callable[[], None] | None = None
    """Runs after it was asked to stop and has ended by itself; not after a crash, nor when it had to be killed."""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 15.0
    """How long it may take to stop before it is killed."""
    account: Account | None = None
    """The account to run as, if not ours."""


class Process:
    """A started child, leader of a process group of its own.

    The child dies when the thread that started it ends, whatever ends it (PR_SET_PDEATHSIG), so start children from a
    thread that outlives them.
    """

    def __init__(self, spec: Spec, popen: subprocess.Popen[bytes]) -> None:
        self.spec = spec
        self._popen = popen
        self._exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        threading.Thread(target=self._wait, name=f"wait for {spec.name}", daemon=True).start()

    @classmethod
    def start(cls, spec: Spec) -> Self:
        """Start the child; returns at once."""
        if spec.before_start is not None:
            spec.before_start()
        with spec.log.open("ab") as log:
            popen = subprocess.Popen(
                launched(spec.command, spec.account),
                cwd=spec.folder,
                env=dict(spec.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        return cls(spec, popen)

    @property
    def pid(self) -> int:
        """Process id, which is the group's id too."""
        return self._popen.pid

    @property
    def is_running(self) -> bool:
        """Whether it hasn't exited yet (a stopped process runs)."""
        return not self._exited.done()

    def signal(self, number: int) -> None:
        """Send a signal to the process alone, not to its group; nothing happens if it has exited."""
        self._popen.send_signal(number)

    async def exited(self) -> int:
        """Wait for the end: the exit status, or minus the signal's number."""
        return await asyncio.shield(self._exited)

    async def stop(self) -> int:
        """Ask it to stop, kill it if it doesn't in time, and take what is left of its group along."""
        self.signal(self.spec.stop_signal)
        self.signal(signal.SIGCONT)
        try:
            async with asyncio.timeout(self.spec.stop_seconds):
                status = await self.exited()
        except TimeoutError:
            self.signal(signal.SIGKILL)
            return await self.exited()
        else:
            if status == 0 and self.spec.after_clean_stop is not None:
                self.spec.after_clean_stop()
            return status
        finally:
            self.kill_group()

    def kill_group(self) -> None:
        """Kill what the process left behind, or the process itself, with its children."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _wait(self) -> None:
        status = self._popen.wait()
        loop = self._exited.get_loop()
        with contextlib.suppress(RuntimeError):  # the loop was closed before the child ended
            loop.call_soon_threadsafe(self._set_exited, status)

    def _set_exited(self, status: int) -> None:
        if not self._exited.done():
            self._exited.set_result(status)


def log_end(log: Path, lines: int = 15) -> str:
    """The last lines of a log, to stand after a sentence of what went wrong."""
    text = log.read_text(errors="replace") if log.exists() else ""
    end = "\n".join(f"    {line}" for line in text.splitlines()[-lines:])
    return f" The end of its log ({log}):\n{end}"
