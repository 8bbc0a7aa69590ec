"""Idle subscriptions on one gateway: what each costs in memory.

The sockets of this end are plain asyncio protocols, so that the driver's own memory is no limit; open files are.
"""

import asyncio
import resource
from typing import Any

from benchmarks.bench import Bench
from benchmarks.measure import memory_mib
from benchmarks.messages.devices import Device
from benchmarks.messages.rig import Rig

MOST = 18_000
SPARE_FILES = 600
AT_ONCE = 32
FIRST_IDLE_USER = 10_000_000


async def measure_idle(bench: Bench, rig: Rig) -> None:
    """Open as many inboxes as may be, each of another person."""
    count = bench.size(min(MOST, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_FILES), 1_000)
    bench.say(f"{count} idle inboxes on one gateway")
    gateway = rig.stack.pid("gateway.serve") or 0
    before = memory_mib(gateway)
    open_ones: list[Device] = []
    numbers = iter(range(count))

    async def opener() -> None:
        for number in numbers:
            open_ones.append(await Device.open(rig, FIRST_IDLE_USER + number, _ignore))

    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(opener())
        bench.figure("idle_subscriptions", len(open_ones), f"opened in {loop.time() - began:.0f} s")
        still_open = sum(one.is_open for one in open_ones)
        bench.figure("kib_per_idle_subscription", (memory_mib(gateway) - before) * 1024 / max(still_open, 1))
        bench.require(still_open == count, f"all {count} stay open, {still_open} do")
    finally:
        for one in open_ones:
            one.abort()


def _ignore(_event: dict[str, Any]) -> None:
    """Nobody writes to these people."""
