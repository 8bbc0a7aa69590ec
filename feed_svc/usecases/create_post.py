"""Publish a photo as a post."""

from dataclasses import dataclass

from feed_svc import events
from feed_svc.domain import (
    Photo,
    Post,
    PostId,
    PostView,
    UserId,
    checked_alt_text,
    checked_caption,
    checked_request_id,
    media_reference,
    stamp,
)
from feed_svc.errors import IdempotencyKeyReused, UserNotFound
from feed_svc.peers import Media
from feed_svc.store import Store
from feed_svc.usecases.hydrate_posts import HydratePosts
from feed_svc.usecases.keep_timeline import KeepTimeline
from feed_svc.usecases.policies import PolicyBook
from mesh import ids, outbox
from mesh.ids import IdMaker
from mesh.outbox import Wakeup


@dataclass(frozen=True, slots=True)
class CreatePost:
    """One transaction writes the post, its delivery stamp and its event; fan-out follows in the background.

    The photo is attached before it, under a reference made from the request id: a crash in between leaves an
    attached photo without a post, and the retry with the same request id takes it up again.
    """

    store: Store
    media: Media
    ids: IdMaker
    policies: PolicyBook
    hydrate: HydratePosts
    keep: KeepTimeline
    wakeup: Wakeup

    async def __call__(
        self, viewer: UserId, *, upload_id: str, caption: str, alt_text: str, request_id: str
    ) -> PostView:
        """Return the post, new or from the first call with this request id."""
        checked_request_id(request_id)
        content = (upload_id.lower(), checked_caption(caption), checked_alt_text(alt_text))
        if viewer not in await self.store.get_users([viewer]):
            raise UserNotFound
        post = await self.store.get_post_by_request(viewer, request_id)
        if post is None:
            photo = await self.media.attach(upload_id, reference=media_reference(viewer, request_id))
            post = await self._commit(viewer, photo, content, request_id)
        if (post.upload_id, post.caption, post.alt_text) != content:
            raise IdempotencyKeyReused
        standings = await self.store.standings(viewer, [post.post_id])
        views = await self.hydrate(list(standings.values()))
        if not views:
            raise UserNotFound
        return views[0]

    async def _commit(self, viewer: UserId, photo: Photo, content: tuple[str, str, str], request_id: str) -> Post:
        upload_id, caption, alt_text = content
        policies = await self.policies.current()
        generation = None
        async with self.store.transaction() as connection:
            follower_count = await self.store.follower_count(connection, viewer)
            last = await self.store.last_delivery_mode(connection, viewer)
            mode, version = stamp(policies, viewer, follower_count=follower_count, last=last)
            post_id = PostId(self.ids.next_id())
            post = Post(
                post_id=post_id,
                author_id=viewer,
                request_id=request_id,
                upload_id=upload_id,
                photo=photo,
                caption=caption,
                alt_text=alt_text,
                delivery_mode=mode,
                policy_version=version,
                follower_count=follower_count,
                create_time=ids.created_at(post_id),
            )
            if await self.store.insert_post(connection, post):
                await outbox.add(connection, events.post_created(post))
                await self.store.count_for_user(connection, viewer, posts=1)
                generation = await self.store.bump_generation(connection, viewer)
        if generation is not None:
            await self.wakeup.hint()
            await self.keep.own_post(viewer, post_id, generation=generation)
            return post
        # A retry that ran beside this call was first: what is stored counts.
        return await self.store.get_post_by_request(viewer, request_id) or post
