"""Log a change that its caller wants to see done."""

from dataclasses import dataclass

from dm_svc.domain.values import LogEntry
from dm_svc.events import Log, Positions
from dm_svc.usecases.await_log import AwaitLog


@dataclass(frozen=True, slots=True)
class AppendAndWait:
    """Appends an entry, and returns when its effects can be read."""

    log: Log
    positions: Positions
    await_log: AwaitLog

    async def __call__(self, entry: LogEntry) -> None:
        """Append and wait; `CatchingUp` when it is logged but not persisted in time. Safe to repeat."""
        stored = await self.log.append(entry)
        partition = self.log.partition_of(entry.conversation_id)
        self.positions.note_acknowledged(partition, stored.sequence)
        await self.await_log.sequence(partition, stored.sequence)
