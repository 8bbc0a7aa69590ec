"""Push a post into the timelines of its author's followers."""

from dataclasses import dataclass

from feed_svc.cache import Cache
from feed_svc.domain import DeliveryMode, PostId, UserId
from feed_svc.store import Store

CHUNK = 1_000
"""Followers read and pushed to at once."""


@dataclass(frozen=True, slots=True)
class FanOutPost:
    """Safe to repeat: a post that stands in a timeline already changes nothing."""

    store: Store
    cache: Cache

    async def __call__(self, post_id: PostId, author: UserId, mode: DeliveryMode) -> int:
        """Return into how many timelines the post was pushed; a PULL post only into its author's own."""
        pushed = await self.cache.push_post(post_id, [author])
        after = 0
        while mode is DeliveryMode.PUSH:
            followers = await self.store.list_followers(author, after=after, limit=CHUNK)
            pushed += await self.cache.push_post(post_id, followers) if followers else 0
            if len(followers) < CHUNK:
                break
            after = followers[-1]
        return pushed
