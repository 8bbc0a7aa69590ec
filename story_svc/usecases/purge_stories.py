"""Remove the photos of stories that ended seven days ago."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from prometheus_client import Counter

from mesh import outbox
from mesh.errors import HeliographError
from mesh.outbox import Wakeup
from mesh.telemetry import get_logger
from story_svc import events
from story_svc.domain import StoryRecord
from story_svc.peers import MediaCare
from story_svc.store import Store

BATCH = 50
AT_ONCE = 8
PAUSE = timedelta(minutes=10)
"""When a photo that could not be purged is tried again."""
REASON = "story ended 7 days ago"

_log = get_logger(__name__)
_purges = Counter("story_purges", "Photos purged, or put off", ["outcome"])


@dataclass(frozen=True, slots=True)
class PurgeStories:
    """The photo goes first and the record says so after: a crash in between asks for the same purge again.

    Rows under legal hold are never taken; holding waits for a purge that is under way.
    """

    store: Store
    media: MediaCare
    wakeup: Wakeup

    async def __call__(self) -> None:
        """Purge everything that is due."""
        while await self.batch(limit=BATCH):
            pass

    async def catch_up(self, limit: int) -> int:
        """Purge up to `limit` photos that are due; return how many were."""
        total = 0
        while total < limit and (purged := await self.batch(limit=min(BATCH, limit - total))):
            total += purged
        return total

    async def batch(self, *, limit: int) -> int:
        """Purge up to `limit` photos that are due and return how many were; others that failed are put off."""
        async with self.store.transaction() as connection:
            due = await self.store.lock_purgeable(connection, limit=limit)
            if not due:
                return 0
            places = asyncio.Semaphore(AT_ONCE)
            outcomes = await asyncio.gather(*(self._purge(record, places) for record in due))
            gone = [record for record, purged in zip(due, outcomes, strict=True) if purged]
            kept = [record for record, purged in zip(due, outcomes, strict=True) if not purged]
            if kept:
                await self.store.postpone_purge(connection, kept, PAUSE)
            purged = await self.store.mark_purged(connection, gone) if gone else []
            for record in purged:
                if record.purge_time is not None:
                    await outbox.add(connection, events.story_purged(record, record.purge_time))
        await self.wakeup.hint()
        _purges.labels("purged").inc(len(gone))
        _purges.labels("postponed").inc(len(kept))
        return len(gone)

    async def _purge(self, record: StoryRecord, places: asyncio.Semaphore) -> bool:
        async with places:
            try:
                await self.media.purge(record.upload_id, reason=REASON)
            except HeliographError as error:
                _log.warning("purge_postponed", story_id=record.story_id, reason=error.reason)
                return False
        return True
