"""Follow a person, and no longer."""

from dataclasses import dataclass

from feed_svc import events
from feed_svc.domain import User, UserId
from feed_svc.errors import CannotFollowSelf, UserBlocked, UserNotFound
from feed_svc.store import Store
from feed_svc.usecases.drop_timelines import DropTimelines
from mesh import outbox
from mesh.outbox import Wakeup


@dataclass(frozen=True, slots=True)
class FollowUser:
    """Commits the edge, then forgets the follower's timeline: whichever of edge and post commits second sees the
    other.
    """

    store: Store
    wakeup: Wakeup
    drop_timelines: DropTimelines

    async def __call__(self, viewer: UserId, followee: UserId) -> User:
        """Return the person, with the follow counted. Safe to repeat."""
        if viewer == followee:
            raise CannotFollowSelf
        async with self.store.transaction() as connection:
            await self.store.lock_pair(connection, viewer, followee)
            relations = await self.store.relations_in(connection, viewer, [followee])
            if followee in relations.blockers or not await self.store.user_exists(connection, followee):
                raise UserNotFound
            if followee in relations.blocked:
                raise UserBlocked
            if await self.store.insert_follow(connection, viewer, followee):
                await outbox.add(connection, events.followed(viewer, followee))
        await self.wakeup.hint()
        await self.drop_timelines(viewer)
        return await self.store.get_user(followee)


@dataclass(frozen=True, slots=True)
class UnfollowUser:
    """Removes the edge, then forgets the follower's timeline."""

    store: Store
    wakeup: Wakeup
    drop_timelines: DropTimelines

    async def __call__(self, viewer: UserId, followee: UserId) -> User:
        """Return the person, without the follow. Safe to repeat; without a follow nothing changes."""
        async with self.store.transaction() as connection:
            await self.store.lock_pair(connection, viewer, followee)
            if not await self.store.user_exists(connection, followee):
                raise UserNotFound
            if await self.store.delete_follow(connection, viewer, followee):
                await outbox.add(connection, events.unfollowed(viewer, followee))
        await self.wakeup.hint()
        await self.drop_timelines(viewer)
        return await self.store.get_user(followee)
