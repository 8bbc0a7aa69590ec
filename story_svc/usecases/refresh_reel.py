"""Have an author's reel loaded anew, after an event that changed it."""

from dataclasses import dataclass

from story_svc.cache import Cache
from story_svc.domain import StoryId, UserId


@dataclass(frozen=True, slots=True)
class RefreshReel:
    """Does again what the write itself tried to do. Raises while Redis is away: the event is handled again then."""

    cache: Cache

    async def __call__(self, author: UserId) -> None:
        """Forget the reel; the next read loads what Postgres says."""
        await self.cache.reels.forget([author])

    async def without(self, author: UserId, story_id: StoryId) -> None:
        """The same after a story's end, whose record goes too."""
        await self.cache.reels.forget([author])
        await self.cache.records.drop([story_id])
