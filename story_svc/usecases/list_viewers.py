"""List who has seen a story, for its author."""

from dataclasses import dataclass

from mesh.clock import Clock
from mesh.errors import DeadlineExceeded, Unavailable
from story_svc.domain import (
    DEFAULT_VIEWERS_SIZE,
    MAX_VIEWERS_SIZE,
    Sighting,
    SightingPage,
    StoryId,
    UserId,
    checked_page_size,
    is_live,
)
from story_svc.errors import StoryNotFound
from story_svc.peers import Graph
from story_svc.store import Store
from story_svc.usecases.find_stories import FindStories


@dataclass(frozen=True, slots=True)
class ListViewers:
    """Only its author, only while it is live; people with a block in between are left out."""

    store: Store
    clock: Clock
    graph: Graph
    find_stories: FindStories

    async def __call__(self, viewer: UserId, story_id: StoryId, *, page_size: int, before: Sighting) -> SightingPage:
        """Return a page behind the sighting `before`, most recent first; it may be short of people that are left out.

        `StoryNotFound` unless it is a live story of the viewer. While feed_svc is away nobody is listed: `Unavailable`.
        """
        size = checked_page_size(page_size, default=DEFAULT_VIEWERS_SIZE, most=MAX_VIEWERS_SIZE)
        story = (await self.find_stories.live([story_id])).get(story_id)
        if story is None or story.author_id != viewer:
            raise StoryNotFound
        found = await self.store.list_views(story_id, before=before, limit=size + 1)
        total = await self.store.count_views(story_id)
        page = found[:size]
        try:
            relations = await self.graph.relations(viewer, [sighting.viewer_id for sighting in page])
        except DeadlineExceeded as error:
            raise Unavailable from error
        if not is_live(story.expire_time, self.clock.now()):
            raise StoryNotFound
        return SightingPage(
            sightings=tuple(one for one in page if not relations[one.viewer_id].is_hidden),
            next_before=page[-1] if len(found) > size else None,
            total_count=total,
        )
