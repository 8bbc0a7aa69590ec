"""Jobs that run again and again."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from prometheus_client import Counter, Gauge

from mesh.telemetry import get_logger

_log = get_logger(__name__)
_runs = Counter("periodic_runs", "Runs of periodic jobs", ["job", "outcome"])
_last = Gauge("periodic_last_success_seconds", "Unix time of the last successful run", ["job"])

JITTER = 0.1
"""Pauses vary by this share either way, so that many processes don't run in step."""


def every(seconds: float, name: str, job: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[None]]:
    """Return a loop for `Process.loop`: run `job`, pause about `seconds`, again. A failed run is logged and counted."""

    async def loop() -> None:
        while True:
            try:
                await job()
            except Exception:  # one bad run must not end the job
                _runs.labels(name, "failed").inc()
                _log.exception("periodic_job_failed", job=name)
            else:
                _runs.labels(name, "succeeded").inc()
                _last.labels(name).set_to_current_time()
            await asyncio.sleep(seconds * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - not a secret

    return loop
