"""What staff and timers read and write: dead letters, verification, what is to be removed."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime

from dm_svc.domain.values import ConversationId, DeadLetter, UserId
from dm_svc.domain.verify import KeptInbox, KeptMember, KeptMessage, KeptThread
from dm_svc.store.rows import QUERIES
from mesh.postgres import Connection, Postgres


@dataclass(frozen=True, slots=True)
class PendingErasure:
    """What remains to be removed of a message that was taken back."""

    partition: int
    log_sequence: int
    upload_id: str | None
    reference: str | None
    conversation_id: str


@dataclass(frozen=True, slots=True)
class DeadEntry:
    """A dead letter with its bytes."""

    dead_letter_id: int
    partition: int
    log_sequence: int
    subject: str
    payload: bytes
    error: str
    dead_time: datetime
    replay_time: datetime | None
    attempts: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Some conversations with all that is to be compared, as of one moment."""

    threads: list[KeptThread]
    messages: dict[ConversationId, list[KeptMessage]]
    members: dict[ConversationId, list[KeptMember]]
    inboxes: list[KeptInbox]
    positions: dict[int, int]
    dead: dict[int, frozenset[int]]
    """By partition: log entries that were set aside."""


@dataclass(frozen=True, slots=True)
class _PositionRow:
    partition: int
    position: int


@dataclass(frozen=True, slots=True)
class _OldRow:
    user_id: int
    useq: int


class CareStore:
    """What staff and timers read and write."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """Open the one transaction of a write."""
        return self._postgres.transaction()

    async def snapshot(self, *, after: str, only: str, limit: int) -> Snapshot:
        """Return up to `limit` conversations behind one, or just `only`, with everything as of one moment."""
        async with self._postgres.transaction() as connection:
            await QUERIES["begin_snapshot"].run(connection)
            threads = await QUERIES["verify_threads"].all(connection, KeptThread, after=after, only=only, limit=limit)
            ids = [thread.conversation_id for thread in threads]
            users = sorted({user for thread in threads for user in (thread.low_id, thread.high_id)})
            messages = await QUERIES["verify_messages"].all(connection, KeptMessage, conversation_ids=ids)
            members = await QUERIES["verify_members"].all(connection, KeptMember, conversation_ids=ids)
            inboxes = await QUERIES["verify_inboxes"].all(connection, KeptInbox, user_ids=users)
            positions = await QUERIES["get_positions"].all(connection, _PositionRow)
            dead = {
                row.partition: frozenset(await QUERIES["verify_dead"].values(connection, partition=row.partition))
                for row in positions
            }
        found = Snapshot(
            threads=threads,
            messages={one: [] for one in ids},
            members={one: [] for one in ids},
            inboxes=inboxes,
            positions={row.partition: row.position for row in positions},
            dead=dead,
        )
        for message in messages:
            found.messages[message.conversation_id].append(message)
        for member in members:
            found.members[member.conversation_id].append(member)
        return found

    async def list_dead_letters(self, *, before: int, limit: int, include_replayed: bool) -> list[DeadLetter]:
        """Return dead letters below an id, newest first."""
        async with self._postgres.primary() as connection:
            return await QUERIES["list_dead_letters"].all(
                connection, DeadLetter, before=before, limit=limit, include_replayed=include_replayed
            )

    async def get_dead_letters(self, dead_letter_ids: Sequence[int]) -> dict[int, DeadEntry]:
        """Return dead letters with their bytes, by id."""
        async with self._postgres.primary() as connection:
            rows = await QUERIES["get_dead_letters"].all(connection, DeadEntry, dead_letter_ids=list(dead_letter_ids))
        return {row.dead_letter_id: row for row in rows}

    async def lock_for_replay(self, connection: Connection, dead: DeadEntry) -> datetime | None:
        """Keep everyone else from giving numbers and from replaying it; `None` when it was replayed already."""
        commit_time: datetime = await QUERIES["take_partition_aside"].value(connection, partition=dead.partition)
        waits = await QUERIES["lock_dead_letter"].value(connection, dead_letter_id=dead.dead_letter_id)
        return commit_time if waits else None

    async def note_attempt(self, dead_letter_id: int) -> None:
        """Count one more try."""
        async with self._postgres.primary() as connection:
            await QUERIES["note_attempt"].run(connection, dead_letter_id=dead_letter_id)

    async def note_replay(self, connection: Connection, dead_letter_id: int) -> None:
        """Remember that a dead letter is in the tables."""
        await QUERIES["note_replay"].run(connection, dead_letter_id=dead_letter_id)

    async def list_erasures(self, *, limit: int) -> list[PendingErasure]:
        """Return what remains to be removed elsewhere, first what has waited longest since it came or failed."""
        async with self._postgres.primary() as connection:
            return await QUERIES["list_erasures"].all(connection, PendingErasure, limit=limit)

    async def postpone_erasure(self, erasure: PendingErasure) -> None:
        """Let the others come first."""
        async with self._postgres.primary() as connection:
            await QUERIES["postpone_erasure"].run(
                connection, partition=erasure.partition, log_sequence=erasure.log_sequence
            )

    async def remove_erasure(self, erasure: PendingErasure) -> None:
        """Forget what was removed."""
        async with self._postgres.primary() as connection:
            await QUERIES["remove_erasure"].run(
                connection, partition=erasure.partition, log_sequence=erasure.log_sequence
            )

    async def forget_old_entries(self, *, kept_seconds: float, limit: int) -> int:
        """Remove inbox entries that are too old, of up to `limit` people; return of how many."""
        async with self._postgres.primary() as connection:
            old = await QUERIES["oldest_inbox_entries"].all(connection, _OldRow, kept_seconds=kept_seconds, limit=limit)
        for row in old:
            # One short transaction a person: the head's row is locked, as it is for every delivery.
            async with self._postgres.transaction() as connection:
                await QUERIES["raise_inbox_floor"].run(connection, user_id=UserId(row.user_id), useq=row.useq)
                await QUERIES["forget_inbox"].run(connection, user_id=UserId(row.user_id), useq=row.useq)
        return len(old)
