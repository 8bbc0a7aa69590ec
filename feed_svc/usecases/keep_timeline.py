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

PLACE_IDS = 1024
"""Ids that share a place in timelines."""


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
            floor = await self.timelines.floor_of(follower)
            if floor is None:
                return
            as_of_ms = self.clock.now_ms()
            above = max(floor, 0) * PLACE_IDS
            limit = 2 * self.timelines.timeline_length
            post_ids = await self.store.author_posts_above(followee, above=above, limit=limit)
            pulled = await self.store.pulled_authors_of(follower)
            if len(post_ids) == limit:
                # More than a timeline holds: to add only the newest would leave a hole above the floor.
                await self.timelines.drop(follower)
                return
            await self.timelines.add_posts(
                follower, post_ids, generation=generation, floor=floor, pulled=pulled, as_of_ms=as_of_ms
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
        generation = await self.timelines.generation_of(viewer)
        floor = await self.timelines.floor_of(viewer)
        if floor is None or generation is None:
            return
        relations = await self.store.relations(viewer, [author])
        if author in relations.followed:
            return
        above = max(floor, 0) * PLACE_IDS
        limit = 2 * self.timelines.timeline_length
        gone = await self.store.author_posts_above(author, above=above, limit=limit)
        await self.timelines.remove_posts(viewer, gone, generation=generation)
