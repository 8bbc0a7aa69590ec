"""Shows the processes' log files as they grow, each line under the colour and name of its process."""

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)
EVERY_SECONDS = 0.1


class LogFollower:
    """Follows some log files from where they stand at its making."""

    def __init__(self, files: Iterable[Path], output: TextIO = sys.stdout) -> None:
        self._files = list(files)
        self._offsets = {file: _size(file) for file in self._files}
        self._rest = dict.fromkeys(self._files, b"")
        self._output = output
        self._width = max((len(file.stem) for file in self._files), default=0)
        self._is_terminal = output.isatty()

    async def follow(self) -> None:
        """Print what is added, until cancelled."""
        while True:
            self.print_new()
            await asyncio.sleep(EVERY_SECONDS)

    def print_new(self) -> None:
        """Print the whole lines that were added since the last call."""
        for position, file in enumerate(self._files):
            if _size(file) <= self._offsets[file]:
                continue
            with file.open("rb") as log:
                log.seek(self._offsets[file])
                added = log.read()
            self._offsets[file] += len(added)
            *lines, self._rest[file] = (self._rest[file] + added).split(b"\n")
            for line in lines:
                self._output.write(self._line(position, file.stem, line.decode(errors="replace")))
        self._output.flush()

    def _line(self, position: int, name: str, text: str) -> str:
        label = f"{name:<{self._width}} |"
        if self._is_terminal:
            label = f"\x1b[{COLOURS[position % len(COLOURS)]}m{label}\x1b[0m"
        return f"{label} {text}\n"


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
