"""Delete a post."""

from dataclasses import dataclass
from datetime import datetime

from feed_svc import events
from feed_svc.cache import Records
from feed_svc.domain import PostId, UserId
from feed_svc.errors import PostNotFound
from feed_svc.peers import Media
from feed_svc.store import Store
from mesh import outbox
from mesh.outbox import Wakeup


@dataclass(frozen=True, slots=True)
class DeletePost:
    """A tombstone, which every read sees at once."""

    store: Store
    records: Records
    wakeup: Wakeup

    async def __call__(self, viewer: UserId, post_id: PostId) -> datetime:
        """Return when the post was deleted, by this call or the first one; `PostNotFound` unless it is the viewer's."""
        async with self.store.transaction() as connection:
            deleted = await self.store.delete_post(connection, viewer, post_id)
            if deleted is not None:
                await self.store.count_for_user(connection, viewer, posts=-1)
                await outbox.add(connection, events.post_deleted(deleted))
        if deleted is not None:
            self.records.forget_post(post_id)
            await self.wakeup.hint()
        post = deleted or (await self.store.get_posts([post_id])).get(post_id)
        if post is None or post.author_id != viewer or post.delete_time is None:
            raise PostNotFound
        return post.delete_time


@dataclass(frozen=True, slots=True)
class CleanUpPost:
    """What remains of a deleted post: its record in Redis and its photo. Safe to repeat."""

    store: Store
    records: Records
    media: Media

    async def __call__(self, post_id: PostId) -> None:
        """Remove both; timelines lose the post when they are read."""
        await self.records.delete_post(post_id)
        post = (await self.store.get_posts([post_id])).get(post_id)
        if post is not None and post.delete_time is not None:
            await self.media.delete(post.upload_id, reference=post.media_reference)
