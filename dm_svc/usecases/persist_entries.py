"""Write what a batch of log entries changes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import psycopg

from dm_svc.domain.fold import fold
from dm_svc.domain.values import InboxEntry, LogEntry
from dm_svc.store.log import LogStore, RawEntry, Step
from mesh.telemetry import get_logger

POISON = (psycopg.DataError, psycopg.IntegrityError, LookupError, ValueError, OverflowError)
"""What an entry that can never be persisted raises."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive entries of one partition's log, as they came and decoded."""

    raw: Sequence[RawEntry]
    decoded: dict[int, LogEntry]
    """By sequence."""
    errors: dict[int, str]
    """Why those that are not decoded could not be."""


@dataclass(frozen=True, slots=True)
class PersistEntries:
    """One transaction: messages, numbers, pointers, inboxes, and the partition's position.

    An entry that can't be decoded or persisted is set aside in the same transaction, with an alarm in the log, and
    the position moves on: one bad entry must not stop a partition.
    """

    store: LogStore

    async def __call__(self, step: Step, batch: Batch) -> list[InboxEntry]:
        """Write the batch; return the new inbox entries. `OwnershipLost` when another worker has taken over."""
        try:
            return await self._persist(step, batch)
        except POISON as error:
            if len(batch.raw) == 1:
                poisoned = replace(batch, decoded={}, errors={batch.raw[0].log_sequence: reason_of(error)})
                return await self._persist(step, poisoned)
        return await self._one_by_one(step, batch)

    async def _persist(self, step: Step, batch: Batch) -> list[InboxEntry]:
        entries = [batch.decoded[raw.log_sequence] for raw in batch.raw if raw.log_sequence in batch.decoded]
        reasons = dict(batch.errors)
        async with self.store.transaction() as connection:
            commit_time = await self.store.advance(connection, step)
            changes = fold(entries, await self.store.load(connection, entries))
            reasons.update({refused.entry.sequence: refused.reason for refused in changes.refused})
            told = await self.store.write(connection, step.partition, changes, commit_time)
            for raw in batch.raw:
                if raw.log_sequence in reasons:
                    await self.store.write_dead_letter(connection, step.partition, raw, reasons[raw.log_sequence])
        for sequence, reason in reasons.items():
            _log.error("dead_letter", partition=step.partition, log_sequence=sequence, reason=reason)
        return told

    async def _one_by_one(self, step: Step, batch: Batch) -> list[InboxEntry]:
        told = []
        after = step.after
        for raw in batch.raw:
            alone = replace(batch, raw=[raw])
            told += await self(replace(step, after=after, position=raw.log_sequence), alone)
            after = raw.log_sequence
        return told


def reason_of(error: Exception) -> str:
    """Say what went wrong without a word of what was written: the database's own text may quote it."""
    return f"{type(error).__name__} {getattr(error, 'sqlstate', None) or ''}".strip()
