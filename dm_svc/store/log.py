"""The workers' side of the database: positions, fences, and what a batch of log entries changes."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dm_svc.domain.fold import Changes, Loaded, NewInboxEntry, StoredMessage, Thread
from dm_svc.domain.values import (
    ConversationId,
    EntryKind,
    Head,
    InboxEntry,
    LogEntry,
    Message,
    UserId,
)
from dm_svc.store.loading import ask_for
from dm_svc.store.rows import QUERIES, InboxRow, inbox_entry_of, photo_json
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
        if changes.threads:
            await self._write_threads(connection, list(changes.threads.values()))
        if changes.messages:
            await self._write_messages(connection, list(changes.messages.values()))
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
        return await self._write_inbox(connection, partitions, changes, commit_time) if changes.inbox else []

    @staticmethod
    async def _write_threads(connection: Connection, threads: list[Thread]) -> None:
        await QUERIES["write_threads"].run(
            connection,
            conversation_ids=[one.conversation_id for one in threads],
            low_ids=[one.low_id for one in threads],
            high_ids=[one.high_id for one in threads],
            last_numbers=[one.last_number for one in threads],
            low_counts=[one.low_count for one in threads],
        )
        members = [(one.conversation_id, member) for one in threads for member in one.members.values()]
        await QUERIES["write_members"].run(
            connection,
            user_ids=[member.user_id for _, member in members],
            conversation_ids=[conversation_id for conversation_id, _ in members],
            other_ids=[member.other_id for _, member in members],
            states=[int(member.state) for _, member in members],
            read_numbers=[member.read_number for _, member in members],
            read_receiveds=[member.read_received for _, member in members],
            update_times=[member.update_time for _, member in members],
        )

    @staticmethod
    async def _write_messages(connection: Connection, messages: list[StoredMessage]) -> None:
        await QUERIES["write_messages"].run(
            connection,
            conversation_ids=[one.conversation_id for one in messages],
            numbers=[one.number for one in messages],
            message_ids=[one.message_id for one in messages],
            sender_ids=[one.sender_id for one in messages],
            client_message_ids=[one.client_message_id for one in messages],
            contents=[one.content for one in messages],
            photos=[photo_json(one.photo) for one in messages],
            low_counts=[one.low_count for one in messages],
            log_sequences=[one.log_sequence for one in messages],
            send_times=[one.send_time for one in messages],
            unsend_times=[one.unsend_time for one in messages],
            body_digests=[one.body_digest for one in messages],
        )

    @staticmethod
    async def _write_inbox(
        connection: Connection,
        partitions: Mapping[ConversationId, int],
        changes: Changes,
        commit_time: datetime,
    ) -> list[InboxEntry]:
        added = Counter(entry.user_id for entry in changes.inbox)
        heads = await QUERIES["extend_inboxes"].all(
            connection, Head, user_ids=list(added), added=[added[user_id] for user_id in added]
        )
        next_useq = {head.user_id: head.head_useq - added[head.user_id] + 1 for head in heads}
        useqs = []
        for entry in changes.inbox:
            useqs.append(next_useq[entry.user_id])
            next_useq[entry.user_id] += 1
        await QUERIES["write_inbox"].run(
            connection,
            partitions=[partitions[entry.conversation_id] for entry in changes.inbox],
            user_ids=[entry.user_id for entry in changes.inbox],
            useqs=useqs,
            kinds=[int(entry.kind) for entry in changes.inbox],
            conversation_ids=[entry.conversation_id for entry in changes.inbox],
            numbers=[entry.number for entry in changes.inbox],
            actor_ids=[entry.actor_id for entry in changes.inbox],
            unread_counts=[entry.unread_count for entry in changes.inbox],
            is_accepteds=[entry.is_accepted for entry in changes.inbox],
            log_sequences=[entry.log_sequence for entry in changes.inbox],
        )
        messages = {
            (one.conversation_id, one.number): one for one in (*changes.unsent.values(), *changes.messages.values())
        }
        return [
            _inbox_entry(entry, useq, messages, commit_time) for entry, useq in zip(changes.inbox, useqs, strict=True)
        ]


def _inbox_entry(
    entry: NewInboxEntry,
    useq: int,
    messages: Mapping[tuple[ConversationId, int], StoredMessage],
    commit_time: datetime,
) -> InboxEntry:
    message = None
    if entry.kind in (EntryKind.MESSAGE, EntryKind.UNSENT):
        stored = messages[entry.conversation_id, entry.number]
        message = Message(
            message_id=stored.message_id,
            conversation_id=stored.conversation_id,
            number=stored.number,
            sender_id=stored.sender_id,
            client_message_id=stored.client_message_id if stored.sender_id == entry.user_id else "",
            content=stored.content,
            photo=stored.photo,
            send_time=stored.send_time,
            unsend_time=stored.unsend_time,
            is_read=False,
        )
    return InboxEntry(
        user_id=entry.user_id,
        useq=useq,
        kind=entry.kind,
        conversation_id=entry.conversation_id,
        number=entry.number,
        actor_id=entry.actor_id,
        unread_count=entry.unread_count,
        is_accepted=entry.is_accepted,
        commit_time=commit_time,
        message=message,
    )
