"""What a chaos check is given: a stack of its own, and counters that decide whether the promise held."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from devstack.folder import temporary_folder
from devstack.stack import Stack

FULL_SECONDS = 120.0
QUICK_SECONDS = 20.0


class Check:
    """One run of one check."""

    def __init__(self, name: str, *, quick: bool, sabotage: str | None) -> None:
        """`sabotage` is what to break on purpose; `None` for a run that is to hold."""
        self.name = name
        self.quick = quick
        self.sabotage = sabotage
        self.faults: Counter[str] = Counter()
        """How many faults of each kind were fired."""
        self._folder: Path | None = None
        self._counts: dict[str, float] = {}
        self._broken: list[str] = []

    @property
    def seconds(self) -> float:
        """How long faults fire, unless the check has a reason of its own."""
        return QUICK_SECONDS if self.quick else FULL_SECONDS

    def stack(self, **options: Any) -> Stack:
        """Return a `Stack` (to be entered) in a temporary folder that vanishes with the run; options are `Stack`'s."""
        if self._folder is None:
            raise RuntimeError("a stack needs the folder of a run")
        return Stack(self._folder / f"stack{len(list(self._folder.iterdir()))}", **options)

    def say(self, sentence: str) -> None:
        """Tell people what goes on."""
        print(sentence, flush=True)

    def fault(self, kind: str) -> None:
        """Count a fault that was fired."""
        self.faults[kind] += 1

    def count(self, name: str, value: float) -> None:
        """State how much there was of something, such as `acked`; it decides nothing. Again adds."""
        self._counts[name] = self._counts.get(name, 0) + value

    def none_may_be(self, name: str, value: int, *examples: object) -> None:
        """State how often something happened that must never happen, such as `lost`; the promise holds only with 0.

        Again adds.
        """
        self.count(name, value)
        self.require(
            value == 0, f"{value} {name}" + (f", such as {', '.join(map(str, examples[:5]))}" if examples else "")
        )

    def require(self, holds: bool, sentence: str) -> None:
        """Note that something else must hold; `sentence` says what is wrong when it doesn't."""
        if not holds:
            self._broken.append(sentence)
            self.say(f"BROKEN: {sentence}")

    def report(self) -> int:
        """Print the counts and the line of JSON; return the exit status."""
        print()
        width = max(map(len, [*self._counts, *self.faults]), default=0)
        for name, value in self._counts.items():
            print(f"{name:<{width}}  {value:g}")
        print("faults:")
        for name, value in sorted(self.faults.items()):
            print(f"  {name:<{width}}  {value}")
        print("The promise held." if not self._broken else "The promise was broken: " + "; ".join(self._broken))
        outcome = {
            "chaos": self.name,
            "ok": not self._broken,
            **self._counts,
            "faults": dict(sorted(self.faults.items())),
        }
        if self.sabotage:
            outcome["sabotage"] = self.sabotage
        print(json.dumps(outcome))
        return 1 if self._broken else 0

    @contextmanager
    def folder_of_its_own(self) -> Iterator[None]:
        """Have a temporary folder for the stacks of this run, until the end of the block."""
        with temporary_folder("chaos") as self._folder:
            yield
