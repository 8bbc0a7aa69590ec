"""Queries about stories."""

from typing import Annotated

import strawberry

from gateway import ids, paging
from gateway.context import Info
from gateway.people.types import KIND as USER
from gateway.stories.types import Story, StoryReel
from heliograph.story.v1.story_service_pb2 import GetStoryTrayRequest, ListStoriesRequest

REELS = "How many reels to return: 1 to 200."
DEFAULT_REELS = 50
MAX_REELS = 200


@strawberry.type
class StoryQueries:
    """Fields of `Query` about stories."""

    @strawberry.field(
        description="Live stories of those whom the viewer follows: the viewer's own first, then reels with something "
        "unseen, then the rest. Null, with an error, while it can't be had."
    )
    async def story_tray(
        self, info: Info, first: Annotated[int, strawberry.argument(description=REELS)] = DEFAULT_REELS
    ) -> list[StoryReel] | None:
        """Return the tray."""
        return await read_tray(info, first=first)

    @strawberry.field(description="Live stories of one person, oldest first; empty when the viewer may see none.")
    async def stories(
        self, info: Info, user_id: Annotated[strawberry.ID, strawberry.argument(description="Whose stories.")]
    ) -> list[Story]:
        """Return a person's stories."""
        request = ListStoriesRequest(user_id=ids.number(USER, user_id))
        reply = await info.context.clients.stories.ListStories(request)
        return [Story(record=story) for story in reply.stories]


async def read_tray(info: Info, *, first: int) -> list[StoryReel]:
    """Return the viewer's story tray, in one call however often it is selected."""
    size = paging.page_size(first, default=DEFAULT_REELS, most=MAX_REELS)
    request = GetStoryTrayRequest(page_size=size)
    reply = await info.context.once(("story_tray", size), lambda: info.context.clients.get_story_tray(request))
    return [StoryReel(reel=reel) for reel in reply.reels]


async def load_story(story_id: int, info: Info) -> Story | None:
    """Return a live story by id; `None` when it is gone or not for the viewer."""
    record = await info.context.loaders.stories.load(story_id)
    return None if record is None else Story(record=record)
