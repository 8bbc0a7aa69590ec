"""Where the CPU time of a phase went: one row for each process, per message."""

import os

from benchmarks.bench import Bench
from benchmarks.measure import cpu_seconds, tree_cpu_seconds
from benchmarks.messages.rig import Rig

DRIVER = "driver"
"""This process: it sends, stands in for feed_svc, and listens."""
PROCESSES = ("gateway.serve", "dm_svc.serve", "dm_svc.work", "postgres", "nats", "redis")


class Spent:
    """The CPU time of all processes from its making on."""

    def __init__(self, rig: Rig) -> None:
        self._pids = {name: pid for name in PROCESSES if (pid := rig.stack.pid(name))}
        self._before = self._now()

    def show(self, bench: Bench, name: str, messages: int) -> None:
        """Print the table, and hand over the sum."""
        spent = {one: (now - self._before[one]) * 1e6 / max(messages, 1) for one, now in self._now().items()}
        bench.table(["process", "CPU us per message"], [(one, f"{us:.0f}") for one, us in spent.items()])
        bench.figure(f"{name}_cpu_us", sum(spent.values()), "per message, of all processes")

    def _now(self) -> dict[str, float]:
        # All the others are children of this process.
        return {name: tree_cpu_seconds(pid) for name, pid in self._pids.items()} | {DRIVER: cpu_seconds(os.getpid())}
