"""Follow a person, and no longer."""

from dataclasses import dataclass

from feed_svc import events
from feed_svc.domain import MAX_FOLLOWEES, User, UserId
from feed_svc.errors import CannotFollowSelf, FollowLimitReached, UserBlocked, UserNotFound
from feed_svc.store import Store
from feed_svc.usecases.keep_timeline import KeepTimeline
from mesh import outbox
from mesh.clock import Clock
from mesh.outbox import Wakeup


@dataclass(frozen=True, slots=True)
class FollowUser:
    """Commits the edge and the follower's generation, then adds the followee's posts to the timeline."""

    store: Store
    wakeup: Wakeup
    keep: KeepTimeline
    clock: Clock

    async def __call__(self, viewer: UserId, followee: UserId) -> User:
        """Return the person, with the follow counted. Safe to repeat."""
        if viewer == followee:
            raise CannotFollowSelf
        generation = None
        async with self.store.transaction() as connection:
            await self.store.lock_pair(connection, viewer, followee)
            relations = await self.store.relations_in(connection, viewer, [followee])
            for one in (viewer, followee):
                if not await self.store.user_exists(connection, one):
                    raise UserNotFound
            if followee in relations.blockers:
                raise UserNotFound
            if followee in relations.blocked:
                raise UserBlocked
            if followee not in relations.followed:
                if await self.store.following_count(connection, viewer) >= MAX_FOLLOWEES:
                    raise FollowLimitReached(limit=MAX_FOLLOWEES)
                await self.store.insert_follow(connection, viewer, followee)
                await outbox.add(connection, events.followed(viewer, followee, self.clock.now()))
                generation = await self.store.bump_generation(connection, viewer)
        if generation is not None:
            await self.wakeup.hint()
            await self.keep.followed(viewer, followee, generation=generation)
        return await self.store.get_user(followee)


@dataclass(frozen=True, slots=True)
class UnfollowUser:
    """Removes the edge, then the person's posts from the follower's timeline."""

    store: Store
    wakeup: Wakeup
    keep: KeepTimeline
    clock: Clock

    async def __call__(self, viewer: UserId, followee: UserId) -> User:
        """Return the person, without the follow. Safe to repeat; without a follow nothing changes."""
        async with self.store.transaction() as connection:
            await self.store.lock_pair(connection, viewer, followee)
            relations = await self.store.relations_in(connection, viewer, [followee])
            if followee in relations.blockers or not await self.store.user_exists(connection, followee):
                raise UserNotFound
            removed = await self.store.delete_follow(connection, viewer, followee)
            if removed:
                await outbox.add(connection, events.unfollowed(viewer, followee, self.clock.now()))
        if removed:
            await self.wakeup.hint()
            await self.keep.purge(viewer, followee)
        return await self.store.get_user(followee)
