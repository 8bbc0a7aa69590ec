"""Build a person's timeline from Postgres."""

from dataclasses import dataclass

from feed_svc.cache import Cache
from feed_svc.domain import FIRST_POSITION, UserId
from feed_svc.store import Store


@dataclass(frozen=True, slots=True)
class BuildTimeline:
    """Open, read, fill: pushes reach the timeline from before the read on, so no post falls in between."""

    store: Store
    cache: Cache
    timeline_length: int

    async def __call__(self, viewer: UserId) -> None:
        """Build the timeline, unless there is one or somebody else builds it."""
        token = await self.cache.open_timeline(viewer)
        if token is None:
            return
        limit = self.timeline_length + 1
        post_ids = await self.store.pull_feed(viewer, before=FIRST_POSITION, limit=limit)
        await self.cache.fill_timeline(viewer, token, post_ids, is_complete=len(post_ids) < limit)
