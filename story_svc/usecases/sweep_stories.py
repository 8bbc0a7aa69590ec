"""The net under the scheduled wake-ups: find what is overdue and end it."""

from dataclasses import dataclass
from datetime import timedelta

from prometheus_client import Counter, Gauge

from mesh.telemetry import get_logger
from story_svc.domain import MAX_SWEEP_SIZE
from story_svc.store import Due, Store
from story_svc.usecases.end_stories import EndStories

GRACE = timedelta(seconds=2)
"""How long after its end a story is left to the worker that was woken for it."""
BATCH = 500
"""Stories a transaction: their events go to JetStream as one batch, with one sync."""

_log = get_logger(__name__)
_swept = Counter("story_sweeper_expired", "Stories that the sweeper had to expire, since nothing else had")
_lag = Gauge("story_expiry_lag_seconds", "How long the most overdue story has been due to be expired")
_waiting = Gauge("story_expiry_waiting", "Stories that are due to be expired")
_purge_lag = Gauge("story_purge_lag_seconds", "How long the most overdue photo has been due to be purged")
_purge_waiting = Gauge("story_purge_waiting", "Photos that are due to be purged")


@dataclass(frozen=True, slots=True)
class SweepStories:
    """Any number may sweep side by side."""

    store: Store
    end_stories: EndStories

    async def __call__(self) -> None:
        """Expire everything that is overdue."""
        while await self.expire(limit=BATCH, grace=GRACE) == BATCH:
            pass

    async def catch_up(self, limit: int) -> int:
        """Expire up to `limit` stories that are due by now, without grace; return how many were moved."""
        total = 0
        while total < limit:
            size = min(BATCH, limit - total, MAX_SWEEP_SIZE)
            moved = await self.expire(limit=size, grace=timedelta(0))
            total += moved
            if moved < size:
                break
        return total

    async def expire(self, *, limit: int, grace: timedelta) -> int:
        """Expire one batch of what has been over for `grace`; return how many were moved."""
        ends = await self.end_stories.overdue(limit=limit, grace=grace)
        if ends.said:
            _swept.inc(ends.said)
            _log.info("sweeper_expired", stories=ends.said)
        return ends.moved

    async def measure(self) -> Due:
        """Set the lag metrics and return what they say."""
        due = await self.store.due()
        _lag.set(due.expiry_lag_seconds)
        _waiting.set(due.to_expire)
        _purge_lag.set(due.purge_lag_seconds)
        _purge_waiting.set(due.to_purge)
        return due
