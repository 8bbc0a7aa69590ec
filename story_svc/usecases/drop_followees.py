"""Forget whom a person follows, after an edge or a block has changed."""

from dataclasses import dataclass

from story_svc.cache import Cache
from story_svc.domain import UserId


@dataclass(frozen=True, slots=True)
class DropFollowees:
    """The next tray asks feed_svc."""

    cache: Cache

    async def __call__(self, follower: UserId) -> None:
        """After a follow or an unfollow."""
        await self.cache.viewers.forget_followees(follower, also_last_known=False)

    async def after_block(self, one: UserId, other: UserId) -> None:
        """After a block: both lists, the last known ones too, since they must not be used even in an emergency."""
        for user_id in (one, other):
            await self.cache.viewers.forget_followees(user_id, also_last_known=True)
