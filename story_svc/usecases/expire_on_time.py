"""End each story of one second at its millisecond."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_client import Histogram

from mesh.clock import Clock
from story_svc.domain import Ended, is_live
from story_svc.store import Store
from story_svc.usecases.end_stories import EndStories
from story_svc.usecases.schedule_expiry import LEAD

SECOND = timedelta(seconds=1)
PATIENCE = LEAD + SECOND
"""How long a story of the second may still have; more means that the wake-up came too early."""
BATCH = 500
"""Stories a transaction: their events go to JetStream as one batch, with one sync."""
HAIR = timedelta(milliseconds=1)
"""Our estimate of the database's clock is ahead by so much at most, while it is in step."""

_late = Histogram(
    "story_expired_said_late_seconds",
    "How long after its end a story's StoryExpired stood in the stream",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)


@dataclass(frozen=True, slots=True)
class ExpireOnTime:
    """Woken shortly before the second begins. What it doesn't come to is left to the sweeper.

    While one batch is on its way to the stream, the stories of the next milliseconds gather for the one after it: so
    a crowded second costs few syncs, and a lone story waits for nobody.
    """

    store: Store
    clock: Clock
    end_stories: EndStories

    async def __call__(self, second: datetime) -> timedelta | None:
        """Return `None` when the second is done with, or how much too early it is. Safe to repeat, also at once."""
        if (early := second - self.clock.now()) > PATIENCE:
            return early - LEAD
        waiting = await self.store.ending_between(second, second + SECOND)
        while waiting:
            now = self.clock.now() - HAIR
            due = [story for story in waiting[:BATCH] if not is_live(story.expire_time, now)]
            if due:
                await self.end_stories.these(due)
                self._observe(due)
                waiting = waiting[len(due) :]
            elif (remaining := waiting[0].expire_time - now) > PATIENCE:
                return remaining - LEAD
            else:
                await asyncio.sleep(remaining.total_seconds())
        return None

    def _observe(self, ended: list[Ended]) -> None:
        now = self.clock.now()
        for story in ended:
            _late.observe((now - story.expire_time).total_seconds())
