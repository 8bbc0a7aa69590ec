"""The home feed."""

import strawberry

from gateway.paging import PageInfo
from gateway.posts.types import PostEdge


@strawberry.type(description="A page of the viewer's home feed.")
class FeedConnection:
    """A page of the feed."""

    edges: list[PostEdge] = strawberry.field(description="The posts, newest first.")
    page_info: PageInfo = strawberry.field(description="Where the page stands in the feed.")
    is_stale: bool = strawberry.field(
        description="True when it is the last known page, served because storage can't answer; at most 10 minutes old."
    )
