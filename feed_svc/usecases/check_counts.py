"""Recount what is counted, a part at a time: counters change with their rows, so a difference is a fault."""

from dataclasses import dataclass

from prometheus_client import Gauge

from feed_svc.store import Store
from mesh.telemetry import get_logger

AT_ONCE = 200

_log = get_logger(__name__)
_wrong = Gauge("feed_wrong_counters", "Counters that the last check found wrong", ["kind"])


@dataclass(frozen=True, slots=True)
class CheckCounts:
    """Compares counters with recounts from a random place on."""

    store: Store

    async def __call__(self) -> tuple[int, int]:
        """Return how many people and posts have wrong counters, and set the metric."""
        users = await self.store.wrong_user_counts(limit=AT_ONCE)
        posts = await self.store.wrong_like_counts(limit=AT_ONCE)
        _wrong.labels("user").set(len(users))
        _wrong.labels("like").set(len(posts))
        if users or posts:
            _log.error("counters_differ", users=users[:5], posts=posts[:5])
        return len(users), len(posts)
