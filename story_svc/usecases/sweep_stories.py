"""The net under the scheduled messages: find what is overdue and see it through."""

from dataclasses import dataclass
from datetime import timedelta

from prometheus_client import Counter, Gauge

from mesh.telemetry import get_logger
from story_svc.domain import MAX_SWEEP_SIZE
from story_svc.store import Due, Store
from story_svc.usecases.schedule_expiry import ScheduleExpiry

GRACE = timedelta(seconds=2)
"""How long after its end a story is left to its scheduled message, which is handled within milliseconds."""
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
    """Any number may sweep side by side: each takes rows that nobody else holds.

    StoryExpired is published before the rows are moved, and only where the stream has none: a crash in between
    sweeps the same rows again and publishes nothing twice.
    """

    store: Store
    schedule_expiry: ScheduleExpiry

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
        async with self.store.transaction() as connection:
            due = await self.store.lock_due(connection, grace=grace, limit=limit)
            if not due:
                return 0
            # First what waits to be published later, so that it can't come second.
            await self.schedule_expiry.cancel(due)
            said = await self.schedule_expiry.say_now(due)
            moved = await self.store.expire_stories(connection, due)
        _swept.inc(said)
        if said:
            _log.info("sweeper_expired", stories=said)
        return len(moved)

    async def measure(self) -> Due:
        """Set the lag metrics and return what they say."""
        due = await self.store.due()
        _lag.set(due.expiry_lag_seconds)
        _waiting.set(due.to_expire)
        _purge_lag.set(due.purge_lag_seconds)
        _purge_waiting.set(due.to_purge)
        return due
