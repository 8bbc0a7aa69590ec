"""Read after write: wait until what was acknowledged is in the tables."""

import asyncio
from dataclasses import dataclass

from dm_svc.domain.values import ConversationId
from dm_svc.errors import CatchingUp
from dm_svc.events import Log, MessagingUnavailable, Positions
from dm_svc.store.reads import ReadStore

LOG_SECONDS = 0.5
"""How long the log may take to say what a conversation's last entry is."""
LOOK_SECONDS = 0.05
"""How often the position is looked up, should the owner's notices be lost."""


@dataclass(frozen=True, slots=True)
class AwaitLog:
    """Waits, bounded, until a partition's position has reached an entry of the log."""

    store: ReadStore
    log: Log
    positions: Positions
    wait_seconds: float

    async def conversation(self, conversation_id: ConversationId) -> bool:
        """Return when all that was acknowledged in the conversation can be read; `CatchingUp` when it takes too long.

        The return says whether the log holds anything of it.

        With the log away nothing new is acknowledged; then what this process itself has acknowledged is waited for.
        """
        partition = self.log.partition_of(conversation_id)
        try:
            async with asyncio.timeout(LOG_SECONDS):
                wanted = await self.log.last_sequence(conversation_id)
        except (MessagingUnavailable, TimeoutError):
            wanted = self.positions.acknowledged(partition)
        await self.sequence(partition, wanted)
        return wanted > 0

    async def own_sends(self) -> None:
        """Return when all that this process has acknowledged can be read."""
        for partition in range(self.log.partitions):
            await self.sequence(partition, self.positions.acknowledged(partition))

    async def sequence(self, partition: int, wanted: int) -> None:
        """Return when an entry of a partition can be read; `CatchingUp` when it takes too long."""
        if self.positions.has(partition, wanted):
            return
        give_up = asyncio.get_running_loop().time() + self.wait_seconds
        while asyncio.get_running_loop().time() < give_up:
            self.positions.note_persisted(partition, await self.store.get_position(partition))
            if await self.positions.wait(partition, wanted, seconds=LOOK_SECONDS):
                return
        raise CatchingUp
