"""Look stories up: by id, or all of one person's."""

from collections.abc import Sequence
from dataclasses import dataclass

from mesh.clock import Clock
from story_svc.domain import (
    MAX_REEL_LENGTH,
    Entry,
    Story,
    StoryId,
    StoryView,
    UserId,
    checked_batch,
    checked_page_size,
    is_live,
    may_see,
)
from story_svc.errors import UserNotFound
from story_svc.photos import Photos
from story_svc.store import Store
from story_svc.usecases.check_audience import CheckAudience
from story_svc.usecases.find_reels import FindReels
from story_svc.usecases.find_stories import FindStories


@dataclass(frozen=True, slots=True)
class ViewStories:
    """Stories as one viewer sees them: with their seen state and signed addresses."""

    store: Store
    clock: Clock
    photos: Photos

    async def __call__(self, viewer: UserId, stories: Sequence[Story]) -> list[StoryView]:
        """Return those that are live once everything was awaited, in the given order."""
        others = any(story.author_id != viewer for story in stories)
        seen = await self.store.seen_by(viewer) if others else frozenset()
        now = self.clock.now()
        return [
            StoryView(
                story,
                self.photos.sign(story, now),
                viewer_has_seen=story.author_id == viewer or story.story_id in seen,
            )
            for story in stories
            if is_live(story.expire_time, now)
        ]


@dataclass(frozen=True, slots=True)
class GetStories:
    """Live stories by id; what is gone, and what the viewer may not see, look the same: absent."""

    find_stories: FindStories
    check_audience: CheckAudience
    view_stories: ViewStories

    async def __call__(self, viewer: UserId, story_ids: Sequence[int]) -> dict[StoryId, StoryView]:
        """Return the live stories that the viewer may see, by id; `BatchTooLarge` unless 1 to 100 are asked for."""
        found = await self.find_stories.live(checked_batch(story_ids))
        visible = await self.check_audience(viewer, {story.author_id for story in found.values()})
        shown = [story for story in found.values() if story.author_id in visible]
        return {view.story.story_id: view for view in await self.view_stories(viewer, shown)}


@dataclass(frozen=True, slots=True)
class ListStories:
    """One person's live stories, oldest first."""

    find_reels: FindReels
    find_stories: FindStories
    check_audience: CheckAudience
    view_stories: ViewStories

    async def __call__(
        self, viewer: UserId, author: UserId, *, page_size: int, after: Entry
    ) -> tuple[list[StoryView], Entry | None]:
        """Return a page behind the entry `after`, and where the next one begins, `None` at the end.

        Empty when the viewer may see none; `UserNotFound` when there is no such person for the viewer.
        """
        size = checked_page_size(page_size, default=MAX_REEL_LENGTH, most=MAX_REEL_LENGTH)
        relation = (await self.check_audience.relations(viewer, [author])).get(author)
        if author != viewer and (relation is None or not relation.exists):
            raise UserNotFound
        if not may_see(viewer, author, relation):
            return [], None
        entries = (await self.find_reels([author])).get(author, ())
        behind = [
            entry for entry in entries if (entry.expire_time, entry.story_id) > (after.expire_time, after.story_id)
        ]
        page = behind[:size]
        records = await self.find_stories.records([entry.story_id for entry in page])
        stories = [records[entry.story_id] for entry in page if entry.story_id in records]
        return await self.view_stories(viewer, stories), page[-1] if len(behind) > size else None
