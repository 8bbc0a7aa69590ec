"""Reads of posts that several places share."""

from gateway import paging
from gateway.context import Info
from gateway.paging import PageInfo
from gateway.posts.types import Post, PostConnection, PostEdge
from heliograph.feed.v1.post_service_pb2 import ListPostsByAuthorRequest


async def posts_of(author_id: int, info: Info, *, first: int, after: str | None) -> PostConnection:
    """Return a page of a person's posts, newest first."""
    request = ListPostsByAuthorRequest(
        author_id=author_id,
        page_size=paging.page_size(first),
        page_token=paging.cursor(after),
        include_cursors=paging.wants_cursors(info),
    )
    reply = await info.context.clients.posts.ListPostsByAuthor(request)
    return PostConnection(
        edges=[
            PostEdge(cursor=cursor, node=Post(item=item))
            for item, cursor in paging.with_cursors(reply.items, reply.cursors)
        ],
        page_info=PageInfo(has_next_page=bool(reply.next_page_token), end_cursor=reply.next_page_token or None),
    )


async def load_post(post_id: int, info: Info) -> Post | None:
    """Return a post by id; `None` when it is absent or hidden."""
    item = await info.context.loaders.posts.load(post_id)
    return None if item is None else Post(item=item)
