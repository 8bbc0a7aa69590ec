"""A small process that outlives the supervisor to kill what its children leave behind.

Children of the supervisor die with it by themselves; their own children would not. The guardian is told
every process group, and kills those that remain when its pipe closes, however that came. Standard library only: it is
run by itself, `python -I -S guardian.py`.
"""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path


class Guardian:
    """The supervisor's end of the pipe."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).resolve())],
            stdin=subprocess.PIPE,
            bufsize=0,
            cwd="/",
            env={},
            start_new_session=True,
        )

    def watch(self, group: int) -> None:
        """Kill this process group when we are gone."""
        self._say(f"+{group}\n")

    def forget(self, group: int) -> None:
        """The group has ended; its number may be used again by others."""
        self._say(f"-{group}\n")

    def close(self) -> None:
        """Let it finish."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def _say(self, line: str) -> None:
        with contextlib.suppress(OSError):  # it was killed: nothing worse than being without it
            if self._process.stdin is not None:
                self._process.stdin.write(line.encode())


def main() -> None:
    """Listen until the pipe closes, then kill the groups that remain."""
    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
