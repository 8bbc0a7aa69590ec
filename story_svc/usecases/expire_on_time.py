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
BATCHES_AT_ONCE = 3
"""One is being published while those before it are being committed."""
PAUSES_SECONDS = (0.001, 0.01, 0.05)
"""Before each try: our estimate of the database's clock may be ahead by a round trip, and then nothing is over yet."""

_late = Histogram(
    "story_expired_said_late_seconds",
    "How long after its end a story's StoryExpired was stored and its row moved",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)


@dataclass(frozen=True, slots=True)
class ExpireOnTime:
    """Woken shortly before the second begins. What it doesn't come to is left to the sweeper.

    While batches are on their way, the stories of the next milliseconds gather for the one after them: so a crowded
    second costs few syncs, and a lone story waits for nobody.
    """

    store: Store
    clock: Clock
    end_stories: EndStories

    async def __call__(self, second: datetime) -> timedelta | None:
        """Return `None` when the second is done with, or how much too early it is. Safe to repeat, also at once."""
        if (early := second - self.clock.now()) > PATIENCE:
            return early - LEAD
        waiting = await self.store.ending_between(second, second + SECOND)
        places = asyncio.Semaphore(BATCHES_AT_ONCE)
        async with asyncio.TaskGroup() as batches:
            while waiting:
                await places.acquire()
                now = self.clock.now()
                due = [story for story in waiting[:BATCH] if not is_live(story.expire_time, now)]
                if due:
                    waiting = waiting[len(due) :]
                    batches.create_task(self._end(due)).add_done_callback(lambda _: places.release())
                    continue
                places.release()
                if (remaining := waiting[0].expire_time - now) > PATIENCE:
                    return remaining - LEAD
                await asyncio.sleep(remaining.total_seconds())
        return None

    async def _end(self, due: list[Ended]) -> None:
        moved = 0
        for pause in PAUSES_SECONDS:
            await asyncio.sleep(pause)
            moved += (await self.end_stories.these(due)).moved
            if moved == len(due):
                break
        now = self.clock.now()
        for story in due:
            _late.observe((now - story.expire_time).total_seconds())
