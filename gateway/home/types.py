"""The home screen."""

import strawberry

from gateway.context import Info
from gateway.feed.queries import read_feed
from gateway.feed.types import FeedConnection
from gateway.paging import After, First
from gateway.stories.queries import DEFAULT_REELS, read_tray
from gateway.stories.types import StoryReel


@strawberry.type(description="The home screen. Its halves come from two services: when one is away, the other is here.")
class Home:
    """Feed and tray."""

    @strawberry.field(description="As `Query.feed`.")
    async def feed(self, info: Info, first: First = 20, after: After = None) -> FeedConnection | None:
        """Return a page of the feed."""
        return await read_feed(info, first=first, after=after)

    @strawberry.field(description="As `Query.storyTray`.")
    async def story_tray(self, info: Info, first: First = DEFAULT_REELS) -> list[StoryReel] | None:
        """Return the tray."""
        return await read_tray(info, first=first)
