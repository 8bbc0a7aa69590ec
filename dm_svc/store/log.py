"""The workers' side of the database: positions, fences, and what a batch of log entries changes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from uuid import UUID

import psycopg

from dm_svc.domain.fold import Changes, Loaded, Thread
from dm_svc.domain.values import ConversationId, InboxEntry, LogEntry, UserId
from dm_svc.store.changes import new_entries, write
from dm_svc.store.loading import load, wanted_of
from dm_svc.store.rows import QUERIES, InboxRow, inbox_entry_of
from mesh.postgres import Postgres


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


@dataclass(frozen=True, slots=True)
class SetAside(RawEntry):
    """One that can't be persisted."""

    partition: int
    error: str


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

    async def load(
        self, entries: Sequence[LogEntry], known: Mapping[ConversationId, Thread], *, with_keys: bool
    ) -> Loaded:
        """Return what the tables hold about entries, and what is `known` of their conversations already.

        No transaction holds it fast: nobody but the partition's owner changes it, which `commit` proves.
        """
        wanted = wanted_of(entries, known, with_keys=with_keys)
        found = Loaded({}, {}, {}, {})
        if wanted:
            async with self._postgres.pipeline() as connection:
                found = await load(connection, wanted)
        ends = {(thread.conversation_id, thread.last_number): thread.low_count for thread in known.values()}
        return replace(found, threads={**found.threads, **known}, low_counts={**found.low_counts, **ends})

    async def commit(
        self,
        steps: Sequence[Step],
        partitions: Mapping[ConversationId, int],
        changes: Changes,
        set_aside: Sequence[SetAside],
    ) -> list[InboxEntry]:
        """Move the positions and write what goes with that, all or nothing; return the new inbox entries, each inbox
        in order.

        `OwnershipLost` when another worker took one over: nothing was written. A batch that was committed while its
        connection was lost looks like that too, and the next owner begins behind it.

        Moving comes first, since it locks the partitions' rows: a stale owner gets no further.
        """
        try:
            async with self._postgres.pipeline() as connection:
                moving = await QUERIES["advance_positions"].ask_values(
                    connection,
                    partitions=[step.partition for step in steps],
                    fences=[step.fence for step in steps],
                    afters=[step.after for step in steps],
                    positions=[step.position for step in steps],
                    announceds=[step.announced for step in steps],
                )
                for one in set_aside:
                    await QUERIES["write_dead_letter"].run(connection, **asdict(one))
                writing = await write(connection, partitions, changes)
        except psycopg.errors.RaiseException as error:
            raise OwnershipLost(str(error)) from error
        (commit_time,) = await moving.rows()
        return new_entries(changes, await writing.rows() if writing else [], commit_time)

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
