"""Read the story tray."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mesh.clock import Clock
from mesh.redis import TROUBLE
from mesh.telemetry import get_logger
from story_svc.cache import Cache, Lease, TrayState
from story_svc.domain import (
    DEFAULT_TRAY_SIZE,
    MAX_TRAY_SIZE,
    Person,
    RankedReel,
    Reel,
    ReelView,
    Story,
    StoryId,
    StoryView,
    Tray,
    UserId,
    checked_page_size,
    has_unseen,
    live_entries,
    rank,
)
from story_svc.photos import Photos
from story_svc.store import Store
from story_svc.usecases.find_followees import FindFollowees
from story_svc.usecases.find_people import FindPeople
from story_svc.usecases.find_reels import FindReels
from story_svc.usecases.find_stories import FindStories

REDIS_AWAY = TrayState(seen=None, reels=None, lease=Lease(None))

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class GetStoryTray:
    """One round trip to Redis when all is warm: what the viewer has seen, and the reels of those whom they follow."""

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
        state = await self._state(viewer)
        reels, is_stale = await self._reels(viewer, state)
        seen = state.seen if state.seen is not None else await self._load_seen(viewer, state.lease)
        ranked = rank(reels, viewer=viewer, seen=seen, now=self.clock.now())
        shown = ranked[:size]
        # One after the other: nearly always both are in the process, and then neither waits for a turn of the loop.
        people = await self.find_people([reel.author_id for reel in shown])
        stories = await self.find_stories.records([entry.story_id for reel in shown for entry in reel.entries])
        now = self.clock.now()
        views = [self._view(reel, people, stories, seen, now) for reel in shown]
        return Tray(
            reels=tuple(view for view in views if view is not None),
            has_more=len(ranked) > size,
            is_stale=is_stale,
        )

    def _view(
        self,
        reel: RankedReel,
        people: Mapping[UserId, Person],
        stories: Mapping[StoryId, Story],
        seen: frozenset[StoryId],
        now: datetime,
    ) -> ReelView | None:
        """Return what is live of a reel; `now` is read after everything was awaited. `None` for nothing."""
        entries = live_entries(reel.entries, now)
        views = [
            StoryView(story, self.photos.sign(story, now), viewer_has_seen=reel.is_own or story.story_id in seen)
            for entry in entries
            if (story := stories.get(entry.story_id)) is not None
        ]
        author = people.get(reel.author_id)
        if not views or author is None:
            return None
        return ReelView(author, not reel.is_own and has_unseen(entries, seen), tuple(views))

    async def _state(self, viewer: UserId) -> TrayState:
        try:
            return await self.cache.trays.get(viewer)
        except TROUBLE as error:
            _log.warning("tray_read_failed", error=repr(error))
            return REDIS_AWAY

    async def _reels(self, viewer: UserId, state: TrayState) -> tuple[Mapping[UserId, Reel], bool]:
        """Return the reels, and whether they are of the last known followees, because feed_svc can't answer."""
        if state.reels is not None:
            return await self.find_reels.complete(state.reels), False
        followees = await self.find_followees.load(viewer, state.lease)
        return await self.find_reels(followees.user_ids | {viewer}), followees.is_stale

    async def _load_seen(self, viewer: UserId, lease: Lease) -> frozenset[StoryId]:
        seen = await self.store.seen_by(viewer)
        try:
            await self.cache.viewers.fill_seen(viewer, lease, seen)
        except TROUBLE as error:
            _log.warning("seen_fill_failed", error=repr(error))
        return seen
