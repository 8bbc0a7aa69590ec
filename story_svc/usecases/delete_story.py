"""Delete a story before its time."""

from dataclasses import dataclass
from datetime import datetime

from mesh import outbox
from mesh.outbox import Wakeup
from mesh.redis import TROUBLE
from mesh.telemetry import get_logger
from story_svc import events
from story_svc.cache import Cache
from story_svc.domain import StoryId, UserId
from story_svc.errors import StoryNotFound
from story_svc.store import Store

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DeleteStory:
    """A tombstone; from the return on no read finds the story."""

    store: Store
    cache: Cache
    wakeup: Wakeup

    async def __call__(self, viewer: UserId, story_id: StoryId) -> datetime:
        """Return when the story ended, by this call, an earlier one or its age; `StoryNotFound` unless it is the
        viewer's.
        """
        async with self.store.transaction() as connection:
            deleted = await self.store.delete_story(connection, viewer, story_id)
            if deleted is not None:
                await outbox.add(connection, events.story_deleted(deleted))
        record = deleted or (await self.store.get_records([story_id])).get(story_id)
        if record is None or record.author_id != viewer:
            raise StoryNotFound
        await self._drop(viewer)
        await self.wakeup.hint()
        return record.end_time

    async def _drop(self, author: UserId) -> None:
        """Hide it from now on, also when an earlier call got no further than its commit; the event does it again."""
        try:
            await self.cache.reels.forget([author])
        except TROUBLE as error:
            _log.warning("story_cache_write_failed", error=repr(error))
