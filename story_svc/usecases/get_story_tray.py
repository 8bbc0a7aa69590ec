"""Read the story tray."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from mesh.clock import Clock
from mesh.redis import TROUBLE
from mesh.telemetry import get_logger
from story_svc.cache import Cache, Lease, ViewerState
from story_svc.domain import (
    DEFAULT_TRAY_SIZE,
    MAX_TRAY_SIZE,
    Followees,
    Person,
    RankedReel,
    ReelView,
    Story,
    StoryId,
    StoryView,
    Tray,
    UserId,
    checked_page_size,
    live_entries,
    rank,
)
from story_svc.photos import Photos
from story_svc.store import Store
from story_svc.usecases.find_followees import FindFollowees
from story_svc.usecases.find_people import FindPeople
from story_svc.usecases.find_reels import FindReels
from story_svc.usecases.find_stories import FindStories

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class GetStoryTray:
    """Two round trips to Redis when all is warm: the viewer (followees, seen), then the reels of all followees."""

    store: Store
    cache: Cache
    clock: Clock
    photos: Photos
    find_followees: FindFollowees
    find_reels: FindReels
    find_stories: FindStories
    find_people: FindPeople

    async def __call__(self, viewer: UserId, *, page_size: int) -> Tray:
        """Return the live reels of those whom the viewer follows.

        One's own first, then those with something unseen, within both the newest story first.
        """
        size = checked_page_size(page_size, default=DEFAULT_TRAY_SIZE, most=MAX_TRAY_SIZE)
        followees, seen = await self._viewer(viewer)
        reels = await self.find_reels(followees.user_ids | {viewer})
        ranked = rank(reels, viewer=viewer, seen=seen, now=self.clock.now())
        shown = ranked[:size]
        people, stories = await asyncio.gather(
            self.find_people([reel.author_id for reel in shown]),
            self.find_stories.records([entry.story_id for reel in shown for entry in reel.entries]),
        )
        now = self.clock.now()
        views = [self._view(viewer, reel, people, stories, seen, now) for reel in shown]
        return Tray(
            reels=tuple(view for view in views if view is not None),
            has_more=len(ranked) > size,
            is_stale=followees.is_stale,
        )

    def _view(
        self,
        viewer: UserId,
        reel: RankedReel,
        people: dict[UserId, Person],
        stories: dict[StoryId, Story],
        seen: frozenset[StoryId],
        now: datetime,
    ) -> ReelView | None:
        """Return what is live of a reel; `now` is read after everything was awaited. `None` for nothing."""
        own = reel.author_id == viewer
        views = tuple(
            StoryView(
                stories[entry.story_id],
                self.photos.sign(stories[entry.story_id]),
                viewer_has_seen=own or entry.story_id in seen,
            )
            for entry in live_entries(reel.entries, now)
            if entry.story_id in stories
        )
        author = people.get(reel.author_id)
        if not views or author is None:
            return None
        return ReelView(author, any(not view.viewer_has_seen for view in views), views)

    async def _viewer(self, viewer: UserId) -> tuple[Followees, frozenset[StoryId]]:
        try:
            state = await self.cache.viewers.get(viewer)
        except TROUBLE as error:
            _log.warning("viewer_read_failed", error=repr(error))
            state = ViewerState(seen=None, followees=None, lease=Lease(None))
        followees = (
            Followees(state.followees)
            if state.followees is not None
            else await self.find_followees.load(viewer, state.lease)
        )
        return followees, state.seen if state.seen is not None else await self._load_seen(viewer, state.lease)

    async def _load_seen(self, viewer: UserId, lease: Lease) -> frozenset[StoryId]:
        seen = await self.store.seen_by(viewer)
        try:
            await self.cache.viewers.fill_seen(viewer, lease, seen)
        except TROUBLE as error:
            _log.warning("seen_fill_failed", error=repr(error))
        return seen
