"""Find live stories by id, and the records of stories."""

from collections.abc import Iterable
from dataclasses import dataclass

from mesh.clock import Clock
from mesh.redis import TROUBLE
from mesh.telemetry import get_logger
from story_svc.cache import Cache
from story_svc.domain import Story, StoryId, live_entries
from story_svc.store import Store
from story_svc.usecases.find_reels import FindReels

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FindStories:
    """Records say what a story is, reels whether it still is: both are asked, whoever may look is not."""

    store: Store
    cache: Cache
    clock: Clock
    find_reels: FindReels

    async def live(self, story_ids: Iterable[StoryId]) -> dict[StoryId, Story]:
        """Return those of the stories that are live at the moment of the return, by id."""
        stories = await self.records(list(dict.fromkeys(story_ids)))
        reels = await self.find_reels({story.author_id for story in stories.values()})
        now = self.clock.now()
        alive = {entry.story_id for reel in reels.values() for entry in live_entries(reel, now)}
        return {story_id: story for story_id, story in stories.items() if story_id in alive}

    async def records(self, story_ids: list[StoryId]) -> dict[StoryId, Story]:
        """Return the records of stories that ever existed, by id; it says nothing of whether they are live."""
        try:
            found = await self.cache.records.get(story_ids)
        except TROUBLE as error:
            _log.warning("records_read_failed", error=repr(error))
            found = {}
        absent = [story_id for story_id in story_ids if story_id not in found]
        if absent:
            loaded = {story_id: record.story for story_id, record in (await self.store.get_records(absent)).items()}
            await self._keep(loaded)
            found |= loaded
        return found

    async def _keep(self, loaded: dict[StoryId, Story]) -> None:
        try:
            await self.cache.records.put(loaded.values())
        except TROUBLE as error:
            _log.warning("records_write_failed", error=repr(error))
