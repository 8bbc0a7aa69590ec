"""Servers as child processes, each on one core."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from devstack.folder import CHECKOUT

PYTHON = str(CHECKOUT / ".venv/bin/python")
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, OTHER_CORE = CORES[0], CORES[-1]


@asynccontextmanager
async def process(core: int, *command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    started = await asyncio.create_subprocess_exec(
        *command, cwd=CHECKOUT, stdin=-1, stdout=-1, preexec_fn=lambda: stay_on(core)
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.terminate()
        await started.wait()


async def line_of(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 30)
    if not line:
        raise RuntimeError("a server ended before it listened")
    return line.decode().strip()


def stay_on(core: int) -> None:
    os.sched_setaffinity(0, {core})
