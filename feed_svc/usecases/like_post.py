"""Like a post, and no longer."""

from dataclasses import dataclass

from feed_svc.domain import PostId, PostView, UserId
from feed_svc.errors import UserNotFound
from feed_svc.store import Store
from feed_svc.usecases.get_posts import GetPosts


@dataclass(frozen=True, slots=True)
class LikePost:
    """The like and its count in one transaction, so that the counter is exact."""

    store: Store
    get_posts: GetPosts

    async def __call__(self, viewer: UserId, post_id: PostId) -> PostView:
        """Return the post with the viewer's like counted; `PostNotFound` when it isn't there for them. Repeatable."""
        await self.get_posts.one(viewer, post_id)
        async with self.store.transaction() as connection:
            if not await self.store.user_exists(connection, viewer):
                raise UserNotFound
            await self.store.insert_like(connection, viewer, post_id)
        return await self.get_posts.one(viewer, post_id)


@dataclass(frozen=True, slots=True)
class UnlikePost:
    """Takes the like back."""

    store: Store
    get_posts: GetPosts

    async def __call__(self, viewer: UserId, post_id: PostId) -> PostView:
        """Return the post without the viewer's like; `PostNotFound` when it isn't there for them. Repeatable."""
        await self.get_posts.one(viewer, post_id)
        async with self.store.transaction() as connection:
            await self.store.delete_like(connection, viewer, post_id)
        return await self.get_posts.one(viewer, post_id)
