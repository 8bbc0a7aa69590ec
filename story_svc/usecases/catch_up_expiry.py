"""Expire and purge now what is due, for staff."""

from dataclasses import dataclass

from story_svc.domain import DEFAULT_SWEEP_SIZE, MAX_SWEEP_SIZE, checked_page_size
from story_svc.store import Due
from story_svc.usecases.purge_stories import PurgeStories
from story_svc.usecases.sweep_stories import SweepStories


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """What one call did, and what is left."""

    expired_count: int
    purged_count: int
    due: Due


@dataclass(frozen=True, slots=True)
class CatchUpExpiry:
    """What the sweeper and the purge loop do, at once and without their grace."""

    sweep: SweepStories
    purge: PurgeStories

    async def __call__(self, *, page_size: int) -> CaughtUp:
        """Move up to `page_size` stories in all; to be called until nothing is left."""
        size = checked_page_size(page_size, default=DEFAULT_SWEEP_SIZE, most=MAX_SWEEP_SIZE)
        expired = await self.sweep.catch_up(size)
        purged = await self.purge.catch_up(size - expired) if expired < size else 0
        return CaughtUp(expired, purged, await self.sweep.measure())
