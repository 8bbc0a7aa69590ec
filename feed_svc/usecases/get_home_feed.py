"""Read the home feed: skeleton, hydration, rules, page."""

from dataclasses import dataclass

from feed_svc.cache import Cache
from feed_svc.domain import (
    FIRST_POSITION,
    REFILLS,
    Page,
    PostId,
    PostView,
    UserId,
    checked_page_size,
    is_visible,
    merge_newest_first,
)
from feed_svc.store import Store
from feed_svc.usecases.build_timeline import BuildTimeline
from feed_svc.usecases.hydrate_posts import HydratePosts
from mesh.redis import TROUBLE
from mesh.telemetry import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Skeleton:
    """Post ids below a position, newest first; `is_end` when nothing older remains."""

    post_ids: list[PostId]
    is_end: bool


@dataclass(frozen=True, slots=True)
class GetHomeFeed:
    """Pushed timeline and pulled posts, merged; below the timeline's floor, and without a timeline, all by pull."""

    store: Store
    cache: Cache
    hydrate: HydratePosts
    build_timeline: BuildTimeline

    async def __call__(self, viewer: UserId, *, page_size: int, before: PostId = FIRST_POSITION) -> Page:
        """Return a page below `before`, newest first.

        A page that the rules emptied is filled again, a bounded number of times; while older posts may remain,
        `next_before` says where to go on, also behind a short page.
        """
        size = checked_page_size(page_size)
        shown: list[PostView] = []
        position = before
        for _ in range(REFILLS):
            skeleton = await self._skeleton(viewer, before=position, limit=size + 1)
            shown += await self._visible(viewer, skeleton.post_ids)
            if len(shown) > size:
                return Page(tuple(shown[:size]), shown[size - 1].post.post_id)
            if skeleton.is_end or not skeleton.post_ids:
                return Page(tuple(shown), None)
            position = skeleton.post_ids[-1]
        return Page(tuple(shown), position)

    async def _skeleton(self, viewer: UserId, *, before: PostId, limit: int) -> Skeleton:
        try:
            timeline = await self.cache.get_timeline(viewer, before=before, limit=limit)
            if timeline is None:
                await self.build_timeline(viewer)
        except TROUBLE as error:
            _log.warning("timeline_read_failed", error=repr(error))
            timeline = None
        if timeline is None or (len(timeline.post_ids) < limit and not timeline.is_end):
            post_ids = await self.store.pull_feed(viewer, before=before, limit=limit)
            return Skeleton(post_ids, is_end=len(post_ids) < limit)
        pulled = await self.store.pull_stamped(viewer, before=before, limit=limit)
        merged = merge_newest_first(timeline.post_ids, pulled)[:limit]
        return Skeleton(merged, is_end=timeline.is_end and len(merged) < limit)

    async def _visible(self, viewer: UserId, post_ids: list[PostId]) -> list[PostView]:
        views = await self.hydrate(post_ids)
        relations = await self.store.relations(viewer, {view.author.user_id for view in views})
        return [view for view in views if is_visible(view.post, viewer, relations)]
