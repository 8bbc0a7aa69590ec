"""From post ids to posts as a viewer sees them."""

from collections.abc import Sequence
from dataclasses import dataclass

from feed_svc.domain import PostId, PostView, in_order
from feed_svc.store import Store


@dataclass(frozen=True, slots=True)
class HydratePosts:
    """Batched reads: as many for one post as for fifty."""

    store: Store

    async def __call__(self, post_ids: Sequence[PostId]) -> list[PostView]:
        """Return the posts that exist, deleted ones included, in the order of the ids. No rule is applied."""
        if not post_ids:
            return []
        posts = in_order(post_ids, await self.store.get_posts(post_ids))
        authors = await self.store.get_users({post.author_id for post in posts})
        return [PostView(post, authors[post.author_id]) for post in posts if post.author_id in authors]
