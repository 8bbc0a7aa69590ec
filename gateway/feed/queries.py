"""The query of the home feed."""

import strawberry

from gateway import paging
from gateway.context import Info
from gateway.feed.types import FeedConnection
from gateway.paging import After, First, PageInfo
from gateway.posts.types import Post, PostEdge
from heliograph.feed.v1.feed_service_pb2 import GetHomeFeedRequest


@strawberry.type
class FeedQueries:
    """Fields of `Query` about the feed."""

    @strawberry.field(
        description="The home feed: posts of those whom the viewer follows and their own, newest first, without end. "
        "Null, with an error, while it can't be had."
    )
    async def feed(self, info: Info, first: First = 20, after: After = None) -> FeedConnection | None:
        """Return a page of the feed."""
        return await read_feed(info, first=first, after=after)


async def read_feed(info: Info, *, first: int, after: str | None) -> FeedConnection:
    """Return a page of the viewer's feed, in one call however often it is selected."""
    size, token, cursors = paging.page_size(first), paging.cursor(after), paging.wants_cursors(info)
    request = GetHomeFeedRequest(page_size=size, page_token=token, include_cursors=cursors)
    reply = await info.context.once(("feed", size, token, cursors), lambda: info.context.clients.get_home_feed(request))
    return FeedConnection(
        edges=[
            PostEdge(cursor=cursor, node=Post(item=item))
            for item, cursor in paging.with_cursors(reply.items, reply.cursors)
        ],
        page_info=PageInfo(has_next_page=bool(reply.next_page_token), end_cursor=reply.next_page_token or None),
        is_stale=reply.is_stale,
    )
