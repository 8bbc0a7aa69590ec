"""Take a story that has reached its end out of the live ones."""

from datetime import timedelta

from prometheus_client import Histogram

from mesh.clock import Clock
from mesh.coalesce import Coalescer
from story_svc.cache import Cache
from story_svc.domain import Ended
from story_svc.store import Store

BATCH = 200

_late = Histogram(
    "story_expired_late_seconds",
    "How long after its end a story's StoryExpired was handled",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600),
)


class ExpireStory:
    """The cache, and the soft delete if whoever said StoryExpired died before it. Events that come together share one
    statement.
    """

    def __init__(self, *, store: Store, cache: Cache, clock: Clock) -> None:
        self._store = store
        self._cache = cache
        self._clock = clock
        self._move = Coalescer(self._move_all, most=BATCH)

    async def __call__(self, story: Ended) -> timedelta | None:
        """Move the story on. Safe to repeat.

        Returns `None` when it is live no more, also if it was moved before; or else, the event having come too
        early, how long it still has.
        """
        if await self._move(story):
            _late.observe(max(0.0, (self._clock.now() - story.expire_time).total_seconds()))
            return None
        return max(story.expire_time - self._clock.now(), timedelta(milliseconds=1))

    async def _move_all(self, stories: list[Ended]) -> list[bool]:
        """Return, for each story in turn, whether it is live no more."""
        async with self._store.transaction() as connection:
            moved = {story.story_id for story in await self._store.expire_stories(connection, stories)}
        rest = [story for story in stories if story.story_id not in moved]
        # A story that nobody knows needs nothing more either.
        live = await self._store.still_live(rest) if rest else set()
        over = [story for story in stories if story.story_id not in live]
        if over:
            await self._cache.reels.forget({story.author_id for story in over})
            await self._cache.records.drop([story.story_id for story in over])
        return [story.story_id not in live for story in stories]
