"""The database's clock, known in the process without asking each time.

    clock = DatabaseClock(store.read_clock)
    await clock.synchronise()
    process.loop("database_clock", clock.run)

One clock decides for all processes of a service, whatever the clocks of their machines say. A sample brackets it:
the database read its clock between two readings of our monotonic clock, so the difference of the two is known up to
the round trip. Samples that agree narrow the bracket; one that contradicts it means that the database's clock was
set, and replaces it. `now()` is the latest moment that is possible, and never goes back: whoever asks "is it over?"
errs towards yes, by at most a round trip.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime

from prometheus_client import Gauge

from mesh.clock import from_us, to_us
from mesh.telemetry import get_logger

PAUSE_SECONDS = 1.0
DRIFT_PER_MILLION = 200
"""How fast two clocks may drift apart between samples: quartz stays well under it."""

_log = get_logger(__name__)
_width = Gauge("database_clock_uncertainty_seconds", "How far the estimate of the database's clock may be off")


class DatabaseClock:
    """A `mesh.clock.Clock` that follows another one. Needs one `synchronise` before its first use."""

    def __init__(
        self,
        read: Callable[[], Awaitable[datetime]],
        *,
        monotonic_us: Callable[[], int] = lambda: time.monotonic_ns() // 1_000,
    ) -> None:
        """`read` asks the database; `monotonic_us` is ours, in whole microseconds."""
        self._read = read
        self._monotonic_us = monotonic_us
        self._at = 0
        self._low: int | None = None
        self._high = 0
        self._last = 0

    def now(self) -> datetime:
        """Return the latest moment that the database's clock can show right now, never before an earlier answer."""
        return from_us(self._now_us())

    def now_ms(self) -> int:
        """Return the same moment in milliseconds since 1970-01-01T00:00Z, rounded down."""
        return self._now_us() // 1_000

    async def synchronise(self) -> None:
        """Take one sample."""
        before = self._monotonic_us()
        shown = to_us(await self._read())
        after = self._monotonic_us()
        low, high = shown - after, shown - before
        if self._low is not None:
            known_low, known_high = self._bracket(after)
            if low <= known_high and known_low <= high:
                low, high = max(low, known_low), min(high, known_high)
            else:
                _log.warning("database_clock_was_set", by_seconds=(low - known_low) / 1e6)
        self._at, self._low, self._high = after, low, high
        _width.set((high - low) / 1e6)

    async def run(self) -> None:
        """Keep in step until cancelled; while the database is away the estimate goes on by itself."""
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            try:
                await self.synchronise()
            except Exception as error:  # any trouble of the database
                _log.warning("database_clock_sample_failed", error=repr(error))

    def _now_us(self) -> int:
        if self._low is None:
            raise RuntimeError("the database's clock has not been read yet")
        moment = self._monotonic_us()
        self._last = max(self._last, moment + self._bracket(moment)[1])
        return self._last

    def _bracket(self, moment: int) -> tuple[int, int]:
        """Return the least and greatest difference between the two clocks, with the drift since the last sample."""
        assert self._low is not None  # noqa: S101 - the callers have looked
        drift = (moment - self._at) * DRIFT_PER_MILLION // 1_000_000
        return self._low - drift, self._high + drift
