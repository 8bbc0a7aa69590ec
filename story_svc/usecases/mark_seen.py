"""Note that a viewer has seen stories."""

from collections.abc import Sequence
from dataclasses import dataclass

from mesh.clock import Clock
from mesh.redis import TROUBLE
from mesh.telemetry import get_logger
from story_svc.cache import Cache
from story_svc.domain import UserId, checked_batch, is_live
from story_svc.errors import StoryNotFound
from story_svc.store import Store
from story_svc.usecases.check_audience import CheckAudience
from story_svc.usecases.find_stories import FindStories

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class MarkSeen:
    """All of them or none: when one is gone or may not be seen, nothing is noted."""

    store: Store
    cache: Cache
    clock: Clock
    find_stories: FindStories
    check_audience: CheckAudience

    async def __call__(self, viewer: UserId, story_ids: Sequence[int]) -> None:
        """Note first sightings, at both ends; one's own stories are passed over. `StoryNotFound` as said above."""
        wanted = set(checked_batch(story_ids))
        found = await self.find_stories.live(wanted)
        visible = await self.check_audience(viewer, {story.author_id for story in found.values()})
        now = self.clock.now()
        live = {
            story_id: story
            for story_id, story in found.items()
            if story.author_id in visible and is_live(story.expire_time, now)
        }
        if live.keys() != wanted:
            raise StoryNotFound
        sightings = [(story.story_id, story.expire_time) for story in live.values() if story.author_id != viewer]
        if not sightings:
            return
        async with self.store.transaction() as connection:
            await self.store.insert_views(connection, viewer, sightings)
        try:
            await self.cache.viewers.forget_seen(viewer)
        except TROUBLE as error:
            _log.warning("seen_cache_write_failed", error=repr(error))
