"""Publish a photo as a post."""

from dataclasses import dataclass

from feed_svc import events
from feed_svc.cache import Cache
from feed_svc.domain import Post, PostId, PostView, UserId, checked_alt_text, checked_caption, checked_request_id
from feed_svc.errors import IdempotencyKeyReused, UserNotFound
from feed_svc.peers import Media
from feed_svc.store import Store
from mesh import ids, outbox
from mesh.ids import IdMaker
from mesh.outbox import Wakeup
from mesh.redis import TROUBLE
from mesh.telemetry import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CreatePost:
    """One transaction writes the post, its delivery stamp and its event; fan-out follows in the background.

    The photo is attached before it, under a reference made from the request id: a crash in between leaves an
    attached photo without a post, and the retry with the same request id takes it up again.
    """

    store: Store
    cache: Cache
    media: Media
    ids: IdMaker
    wakeup: Wakeup

    async def __call__(
        self, viewer: UserId, *, upload_id: str, caption: str, alt_text: str, request_id: str
    ) -> PostView:
        """Return the post, new or from the first call with this request id."""
        checked_request_id(request_id)
        checked_caption(caption)
        checked_alt_text(alt_text)
        author = (await self.store.get_users([viewer])).get(viewer)
        if author is None:
            raise UserNotFound
        post = await self.store.get_post_by_request(viewer, request_id)
        if post is None:
            photo = await self.media.attach_post_photo(upload_id, reference=f"post:{viewer}:{request_id}")
            post_id = PostId(self.ids.next_id())
            async with self.store.transaction() as connection:
                policy = await self.store.current_policy(connection)
                post = Post(
                    post_id=post_id,
                    author_id=viewer,
                    request_id=request_id,
                    upload_id=upload_id,
                    photo=photo,
                    caption=caption,
                    alt_text=alt_text,
                    delivery_mode=policy.stamp(author.follower_count),
                    policy_version=policy.version,
                    create_time=ids.created_at(post_id),
                    delete_time=None,
                )
                if await self.store.insert_post(connection, post):
                    await outbox.add(connection, events.post_created(post, follower_count=author.follower_count))
            await self.wakeup.hint()
            # A retry that ran beside this call may have been first: what is stored counts.
            post = await self.store.get_post_by_request(viewer, request_id) or post
            await self._push_to_self(post)
        if (post.upload_id, post.caption, post.alt_text) != (upload_id, caption, alt_text):
            raise IdempotencyKeyReused
        return PostView(post, author)

    async def _push_to_self(self, post: Post) -> None:
        """Show authors their own post at once; fan-out does it again for everybody."""
        try:
            await self.cache.push_post(post.post_id, [post.author_id])
        except TROUBLE as error:
            _log.warning("push_to_self_failed", error=repr(error))
