"""A Redis whose own clock is off, everybody else's being right: a preloaded shim moves what the server reads."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from redis.asyncio import Redis

from devstack.servers.binaries import valkey_server
from tests.fixtures.stack import eventually

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long moved(void) { return atol(getenv("CLOCK_MOVED_SECONDS")); }

int clock_gettime(clockid_t id, struct timespec *at) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(id, at);
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) at->tv_sec += moved();
    return status;
}

int gettimeofday(struct timeval *at, void *zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
"""


class SkewedRedis:
    """One server on a socket file; it keeps its data over a kill."""

    def __init__(self, folder: Path, moved: timedelta, shim: Path | None) -> None:
        self.url = f"unix://{folder}/redis.sock"
        self.restarts = 0
        self._folder = folder
        preloaded = {"LD_PRELOAD": str(shim), "CLOCK_MOVED_SECONDS": str(int(moved.total_seconds()))} if shim else {}
        self._environment = {**os.environ, **preloaded}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            str(valkey_server()),
            *("--port", "0", "--unixsocket", f"{self._folder}/redis.sock", "--dir", str(self._folder)),
            *("--appendonly", "yes", "--appendfsync", "always", "--save", ""),
            env=self._environment,
            stdout=asyncio.subprocess.DEVNULL,
        )
        await eventually(self._answers)

    async def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def restart(self) -> None:
        """Kill -9 and start again."""
        await self.kill()
        await self.start()
        self.restarts += 1

    async def ahead(self) -> timedelta:
        """Return how far its clock is before the machine's."""
        async with Redis.from_url(self.url) as client:
            seconds, us = await client.time()
        return datetime.fromtimestamp(seconds + us / 1e6, UTC) - datetime.now(UTC)

    async def _answers(self) -> bool:
        try:
            async with Redis.from_url(self.url) as client:
                return bool(await client.ping())
        except Exception:
            return False


async def compiled_shim(folder: Path) -> Path | None:
    """Return the shim; `None` where there is no C compiler."""
    if shutil.which("cc") is None:
        return None
    source, library = folder / "clock.c", folder / "clock.so"
    source.write_text(SHIM)
    process = await asyncio.create_subprocess_exec("cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl")
    assert await process.wait() == 0
    return library


@asynccontextmanager
async def skewed_redis(folder: Path, moved: timedelta, shim: Path | None) -> AsyncIterator[SkewedRedis]:
    """Run one until the end of the block."""
    server = SkewedRedis(folder, moved, shim)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()
