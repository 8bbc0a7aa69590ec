"""Fair comparison: rounds taken in turn in one run, ratios per round, medians over the rounds.

Machines drift by 40 % within minutes, so a figure from another run says nothing; a ratio below 1.15 is noise.
"""

import statistics
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

Measured = Callable[[], Awaitable[float]]
"""One round of one side: does the work and returns its rate or its time."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Values of each side, round by round."""

    rounds: tuple[Mapping[str, float], ...]

    def median(self, side: str) -> float:
        """Return the median of a side's rounds."""
        return statistics.median(values[side] for values in self.rounds)

    def ratio(self, side: str, reference: str) -> float:
        """Return the median of the rounds' ratios `side` : `reference`."""
        return statistics.median(values[side] / values[reference] for values in self.rounds)


async def interleaved(rounds: int, **sides: Measured) -> Comparison:
    """Measure every side once in each round; the order turns from round to round, so that drift hits all alike."""
    names = list(sides)
    taken = []
    for number in range(rounds):
        turned = names[number % len(names) :] + names[: number % len(names)]
        taken.append({name: await sides[name]() for name in turned})
    return Comparison(tuple(taken))


def memory_mib(process_id: int) -> float:
    """Return the resident memory of a process; 0 when it is gone."""
    return _status(process_id, "VmRSS")


def peak_memory_mib(process_id: int) -> float:
    """Return the highest resident memory that a process ever had; 0 when it is gone."""
    return _status(process_id, "VmHWM")


def cpu_seconds(process_id: int) -> float:
    """Return the CPU time that a process has used, of user and system."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def tree_cpu_seconds(process_id: int) -> float:
    """Return the CPU time that a process and those that it started have used; of those that ended, nothing."""
    children = Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
    total = cpu_seconds(process_id)
    for child in children:
        with suppress(FileNotFoundError):  # it has ended meanwhile
            total += tree_cpu_seconds(int(child))
    return total


def _status(process_id: int, name: str) -> float:
    try:
        lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    except FileNotFoundError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name + ":")), 0.0)
