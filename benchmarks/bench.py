"""What a benchmark is given: a stack of its own, and places to put figures, tables and requirements."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cli.output import table_lines
from devstack.folder import temporary_folder
from devstack.stack import Stack

FULL_SECONDS = 20.0
QUICK_SECONDS = 4.0


class Bench:
    """One run of one benchmark."""

    def __init__(self, name: str, *, quick: bool) -> None:
        """`quick` asks for less than two minutes in all; figures are then rougher, never different in kind."""
        self.name = name
        self.quick = quick
        self._folder: Path | None = None
        self._figures: dict[str, float] = {}
        self._notes: dict[str, str] = {}
        self._broken: list[str] = []

    @property
    def seconds(self) -> float:
        """How long one measured phase lasts, unless the benchmark has a reason of its own."""
        return QUICK_SECONDS if self.quick else FULL_SECONDS

    def size(self, full: int, quick: int) -> int:
        """Return the amount of work of a full or of a quick run."""
        return quick if self.quick else full

    def stack(self, **options: Any) -> Stack:
        """Return a `Stack` (to be entered) in a temporary folder that vanishes with the run; options are `Stack`'s."""
        if self._folder is None:
            raise RuntimeError("a stack needs the folder of a run")
        return Stack(self._folder / f"stack{len(list(self._folder.iterdir()))}", **options)

    def figure(self, name: str, value: float, note: str = "") -> None:
        """Hand over one figure; its unit stands in the name (`_ms`, `_per_s`, `_bytes`, `ratio_to_`)."""
        self._figures[name] = value
        self._notes[name] = note
        print(f"  {name} = {_shown(value)}  {note}", flush=True)

    def say(self, sentence: str) -> None:
        """Tell people what goes on."""
        print(sentence, flush=True)

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print a table for people."""
        print("\n".join(table_lines(headings, rows)), flush=True)

    def scaling(self, what: str, cost: str, points: Mapping[int, float]) -> float:
        """Print how `cost` grew while `what` grew, and return the factor per doubling over the whole range.

        1.0: the cost stayed flat; 2.0: it grew in proportion.
        """
        sizes = sorted(points)
        rows = [
            (
                f"{size:,}",
                _shown(points[size]),
                "" if index == 0 else f"x {points[size] / points[sizes[index - 1]]:.2f}",
            )
            for index, size in enumerate(sizes)
        ]
        self.table([what, cost, "growth"], rows)
        doublings = math.log2(sizes[-1] / sizes[0])
        return float((points[sizes[-1]] / points[sizes[0]]) ** (1 / doublings))

    def require(self, holds: bool, sentence: str) -> None:
        """Note what must hold for the run to count; when it doesn't, the exit status is 1."""
        if not holds:
            self._broken.append(sentence)
            print(f"NOT MET: {sentence}", flush=True)

    def report(self) -> int:
        """Print the table and the line of JSON; return the exit status."""
        print()
        self.table(
            ["figure", "value", ""], [[name, _shown(value), self._notes[name]] for name, value in self._figures.items()]
        )
        for sentence in self._broken:
            print(f"NOT MET: {sentence}")
        print(
            json.dumps(
                {"bench": self.name, "figures": {name: _rounded(value) for name, value in self._figures.items()}}
            )
        )
        return 1 if self._broken else 0

    @contextmanager
    def folder_of_its_own(self) -> Iterator[None]:
        """Have a temporary folder for the stacks of this run, until the end of the block."""
        with temporary_folder("bench") as self._folder:
            yield


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _rounded(value: float) -> float:
    """Round to four significant digits: more would be noise."""
    return float(f"{value:.4g}")
