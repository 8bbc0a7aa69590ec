"""Block a person, and no longer."""

from dataclasses import dataclass
from datetime import datetime

from feed_svc import events
from feed_svc.domain import UserId
from feed_svc.errors import CannotBlockSelf, UserNotFound
from feed_svc.store import Store
from feed_svc.usecases.keep_timeline import KeepTimeline
from mesh import outbox
from mesh.clock import Clock
from mesh.outbox import Wakeup


@dataclass(frozen=True, slots=True)
class BlockUser:
    """Sets the block and ends follows between the two, both ways, in one transaction."""

    store: Store
    wakeup: Wakeup
    keep: KeepTimeline
    clock: Clock

    async def __call__(self, viewer: UserId, blocked: UserId) -> datetime:
        """Return when the block was committed, by this call or the first one. Safe to repeat."""
        if viewer == blocked:
            raise CannotBlockSelf
        now = self.clock.now()
        async with self.store.transaction() as connection:
            await self.store.lock_pair(connection, viewer, blocked)
            for one in (viewer, blocked):
                if not await self.store.user_exists(connection, one):
                    raise UserNotFound
            if await self.store.insert_block(connection, viewer, blocked):
                await outbox.add(connection, events.blocked(viewer, blocked, now))
            for follower, followee in ((viewer, blocked), (blocked, viewer)):
                if await self.store.delete_follow(connection, follower, followee):
                    await outbox.add(connection, events.unfollowed(follower, followee, now))
            block_time = await self.store.block_time(connection, viewer, blocked)
        await self.wakeup.hint()
        await self.keep.purge(viewer, blocked)
        await self.keep.purge(blocked, viewer)
        return block_time


@dataclass(frozen=True, slots=True)
class UnblockUser:
    """Lifts the block; follows don't come back."""

    store: Store
    wakeup: Wakeup
    clock: Clock

    async def __call__(self, viewer: UserId, blocked: UserId) -> None:
        """Lift the viewer's block. Safe to repeat; without a block nothing changes."""
        async with self.store.transaction() as connection:
            await self.store.lock_pair(connection, viewer, blocked)
            if not await self.store.user_exists(connection, blocked):
                raise UserNotFound
            if await self.store.delete_block(connection, viewer, blocked):
                await outbox.add(connection, events.unblocked(viewer, blocked, self.clock.now()))
        await self.wakeup.hint()
