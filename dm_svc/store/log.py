"""The workers' side of the database: positions, fences, and what a batch of log entries changes."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dm_svc.domain.fold import Changes, Loaded
from dm_svc.domain.values import (
    ConversationId,
    Head,
    InboxEntry,
    LogEntry,
    UserId,
)
from dm_svc.store.changes import new_entries, rows_of
from dm_svc.store.loading import ask_for
from dm_svc.store.rows import QUERIES, InboxRow, inbox_entry_of
from mesh.postgres import Connection, Postgres


class OwnershipLost(Exception):
    """Another worker owns the partition: nothing was written."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a new owner begins."""

    position: int
    announced: int
    fence: int


@dataclass(frozen=True, slots=True)
class LogMap:
    """How conversations map to partitions."""

    version: int
    partitions: int


@dataclass(frozen=True, slots=True)
class Step:
    """A batch's place in the log, as its owner sees it."""

    partition: int
    fence: int
    after: int
    position: int
    announced: int


@dataclass(frozen=True, slots=True)
class RawEntry:
    """A log entry as it came."""

    log_sequence: int
    subject: str
    payload: bytes


class LogStore:
    """What workers read and write."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def fix_map(self, wanted: LogMap) -> LogMap:
        """Return the map that holds: the wanted one on a new database, else the one of the first start."""
        async with self._postgres.transaction() as connection:
            found = await QUERIES["get_log_map"].one(connection, LogMap)
            if found is None:
                await QUERIES["insert_log_map"].run(connection, version=wanted.version, partitions=wanted.partitions)
                found = await QUERIES["get_log_map"].one(connection, LogMap) or wanted
            await QUERIES["insert_positions"].run(connection, partitions=found.partitions)
        return found

    async def count_workers(self, worker_id: UUID, *, within_seconds: float) -> int:
        """Say that this worker lives, and return how many do."""
        async with self._postgres.primary() as connection:
            await QUERIES["see_worker"].run(connection, worker_id=worker_id)
            count: int = await QUERIES["count_workers"].value(connection, within_seconds=within_seconds)
        return count

    async def forget_worker(self, worker_id: UUID) -> None:
        """Let the others share this worker's partitions at once."""
        async with self._postgres.primary() as connection:
            await QUERIES["forget_workers"].run(connection, worker_id=worker_id)

    async def raise_fence(self, partition: int) -> Position:
        """Take a partition over: nobody who owned it before can write any more."""
        async with self._postgres.primary() as connection:
            found = await QUERIES["raise_fence"].one(connection, Position, partition=partition)
        if found is None:
            raise OwnershipLost(f"there is no partition {partition}")
        return found

    async def get_position(self, partition: int) -> int:
        """Return where a partition stands."""
        async with self._postgres.primary() as connection:
            position: int = await QUERIES["get_position"].value(connection, partition=partition)
        return position

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Open the one transaction of a batch: a pipeline, so that a batch costs three round trips instead of ten."""
        async with self._postgres.primary() as connection, connection.pipeline(), connection.transaction():
            yield connection

    async def advance(
        self, connection: Connection, steps: Sequence[Step], entries: Sequence[LogEntry]
    ) -> tuple[datetime, Loaded]:
        """Move the positions; return the time of the transaction, and what the tables hold about the entries.

        `OwnershipLost` when another worker took one over. Moving comes first, since it locks the partitions' rows: what
        is read after it nobody else changes, and a stale owner writes nothing. A batch that was committed while its
        connection was lost looks like lost ownership too, and the next owner begins behind it.
        """
        moving = await QUERIES["advance_positions"].ask_values(
            connection,
            partitions=[step.partition for step in steps],
            fences=[step.fence for step in steps],
            afters=[step.after for step in steps],
            positions=[step.position for step in steps],
            announceds=[step.announced for step in steps],
        )
        loading = await ask_for(connection, entries)
        moved = await moving.rows()
        if len(moved) != len(steps):
            raise OwnershipLost(f"of partitions {sorted(step.partition for step in steps)} only {len(moved)} are ours")
        return moved[0], await loading.loaded()

    async def store_announced(self, step: Step) -> None:
        """Write how far the effects have been announced."""
        async with self._postgres.primary() as connection:
            await QUERIES["store_announced"].run(
                connection, partition=step.partition, fence=step.fence, announced=step.announced
            )

    async def entries_since(
        self, partition: int, *, after: int, user_ids: Sequence[UserId], window: int
    ) -> list[InboxEntry]:
        """Return entries of these people that came from the log behind `after`, among their newest `window`."""
        async with self._postgres.primary() as connection:
            rows = await QUERIES["entries_since"].all(
                connection, InboxRow, partition=partition, after=after, user_ids=list(user_ids), window=window
            )
        return [inbox_entry_of(row) for row in rows]

    async def write_dead_letter(self, connection: Connection, partition: int, raw: RawEntry, error: str) -> None:
        """Keep an entry aside, in the caller's transaction."""
        await QUERIES["write_dead_letter"].run(
            connection,
            partition=partition,
            log_sequence=raw.log_sequence,
            subject=raw.subject,
            payload=raw.payload,
            error=error[:500],
        )

    async def write(
        self,
        connection: Connection,
        partitions: Mapping[ConversationId, int],
        changes: Changes,
        commit_time: datetime,
    ) -> list[InboxEntry]:
        """Write what a batch changes; return the new inbox entries, each inbox in order."""
        if changes.unsent:
            unsent = list(changes.unsent.values())
            await QUERIES["take_back"].run(
                connection,
                conversation_ids=[one.conversation_id for one in unsent],
                numbers=[one.number for one in unsent],
                unsend_times=[one.unsend_time for one in unsent],
            )
        if changes.erasures:
            await QUERIES["write_erasures"].run(
                connection,
                partitions=[partitions[one.conversation_id] for one in changes.erasures],
                log_sequences=[one.log_sequence for one in changes.erasures],
                conversation_ids=[one.conversation_id for one in changes.erasures],
                upload_ids=[one.upload_id for one in changes.erasures],
                references=[one.reference for one in changes.erasures],
            )
        if not changes.threads:
            return []
        heads = await QUERIES["write_changes"].all(connection, Head, **rows_of(changes, partitions))
        return new_entries(changes, {head.user_id: head.head_useq for head in heads}, commit_time)
