"""Keep the timeline of whoever changed their own edges or posts in step, right after the commit.

All of it may fail without harm: the generation, counted in the transaction, tells the next read that the timeline lacks
something, and that read goes by pull and has the timeline built anew. What must not be seen is hidden at reading.
"""

from dataclasses import dataclass

from feed_svc.cache import Timelines
from feed_svc.domain import PostId, UserId
from feed_svc.store import Store
from mesh.clock import Clock
from mesh.errors import Unavailable
from mesh.redis import TROUBLE
from mesh.telemetry import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KeepTimeline:
    """Adds and removes what a person's own doing changes in their timeline. Never raises for trouble of a store."""

    store: Store
    timelines: Timelines
    clock: Clock

    async def own_post(self, author: UserId, post_id: PostId, *, generation: int) -> None:
        """Show authors their own post at once."""
        try:
            await self.timelines.add_posts(author, [post_id], generation=generation)
        except TROUBLE as error:
            _log.warning("own_post_not_added", error=type(error).__name__)

    async def followed(self, follower: UserId, followee: UserId, *, generation: int) -> None:
        """Add the posts of somebody newly followed, as far down as the timeline reaches.

        A post that is committed after this read is pushed by fan-out, which reads the followers later still: whichever
        of post and edge commits second sees the other.
        """
        try:
            mark = await self.timelines.mark_of(follower)
            if mark is None:
                return
            as_of_ms = self.clock.now_ms()
            limit = 2 * self.timelines.timeline_length
            post_ids = await self.store.author_posts_above(followee, above=mark.floor, limit=limit)
            pulled = await self.store.pulled_authors_of(follower)
            if len(post_ids) == limit:
                # More than a timeline holds: to add only the newest would leave a hole above the floor.
                await self.timelines.drop(follower)
                return
            await self.timelines.add_posts(
                follower, post_ids, generation=generation, floor=mark.floor, pulled=pulled, as_of_ms=as_of_ms
            )
        except (*TROUBLE, Unavailable) as error:
            _log.warning("follow_not_backfilled", error=type(error).__name__)

    async def purge(self, viewer: UserId, author: UserId) -> None:
        """Remove the posts of somebody who is followed no longer. Safe to repeat."""
        try:
            await self.purge_or_raise(viewer, author)
        except (*TROUBLE, Unavailable) as error:
            _log.warning("timeline_not_purged", error=type(error).__name__)

    async def purge_or_raise(self, viewer: UserId, author: UserId) -> None:
        """Remove the posts of somebody who is followed no longer; for the worker, which tries again.

        The generation is read before the relation: when they follow each other again in between, the posts stay.
        """
        mark = await self.timelines.mark_of(viewer)
        if mark is None:
            return
        relations = await self.store.relations(viewer, [author])
        if author in relations.followed:
            return
        limit = 2 * self.timelines.timeline_length
        gone = await self.store.author_posts_above(author, above=mark.floor, limit=limit)
        await self.timelines.remove_posts(viewer, gone, generation=mark.generation)
