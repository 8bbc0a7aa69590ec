"""What the tables hold about a batch of log entries, asked for all at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dm_svc.domain.fold import Loaded, Membership, StoredMessage, Thread, read_points
from dm_svc.domain.values import (
    ConversationId,
    KnownKey,
    LogEntry,
    MemberState,
    MessageId,
    MessageSent,
    MessageTakenBack,
    UserId,
)
from dm_svc.store.rows import QUERIES, photo_of
from mesh.postgres import Connection
from mesh.queries import Answer


async def load(connection: Connection, entries: Sequence[LogEntry]) -> Loaded:
    """Return what the tables hold about some entries."""
    return await (await ask_for(connection, entries)).loaded()


async def ask_for(connection: Connection, entries: Sequence[LogEntry]) -> "Loading":
    """Send the questions; in a pipeline none waits for the answer of another."""
    sent = [entry.change.message_id for entry in entries if isinstance(entry.change, MessageSent)]
    taken = [entry.change.message_id for entry in entries if isinstance(entry.change, MessageTakenBack)]
    places = read_points(entries)
    return Loading(
        threads=await QUERIES["load_threads"].ask(
            connection, _ThreadRow, conversation_ids=list({entry.conversation_id for entry in entries})
        ),
        keys=await QUERIES["load_keys"].ask(connection, KnownKey, message_ids=sent) if sent else None,
        messages=await QUERIES["load_messages"].ask(connection, _MessageRow, message_ids=taken) if taken else None,
        low_counts=await QUERIES["load_low_counts"].ask(
            connection, _PlaceRow, conversation_ids=[one for one, _ in places], numbers=[two for _, two in places]
        )
        if places
        else None,
    )


@dataclass(frozen=True, slots=True)
class _ThreadRow:
    conversation_id: str
    low_id: int
    high_id: int
    last_number: int
    low_count: int
    user_id: int
    other_id: int
    state: int
    read_number: int
    read_received: int
    update_time: datetime


@dataclass(frozen=True, slots=True)
class _MessageRow:
    conversation_id: str
    number: int
    message_id: str
    sender_id: int
    client_message_id: str
    content: str
    photo: dict[str, Any] | None
    low_count: int
    log_sequence: int
    send_time: datetime
    unsend_time: datetime | None


@dataclass(frozen=True, slots=True)
class _PlaceRow:
    conversation_id: str
    number: int
    low_count: int


@dataclass(frozen=True, slots=True)
class Loading:
    """Answers that are on their way; `None` for what needed no question."""

    threads: Answer[_ThreadRow]
    keys: Answer[KnownKey] | None
    messages: Answer[_MessageRow] | None
    low_counts: Answer[_PlaceRow] | None

    async def loaded(self) -> Loaded:
        """Return them once they have come."""
        threads = _threads(await self.threads.rows())
        keys = await self.keys.rows() if self.keys else []
        messages = await self.messages.rows() if self.messages else []
        counts = await self.low_counts.rows() if self.low_counts else []
        return Loaded(
            threads=threads,
            keys={key.message_id: key for key in keys},
            messages={MessageId(row.message_id): _stored_message(row) for row in messages},
            low_counts={(ConversationId(row.conversation_id), row.number): row.low_count for row in counts},
        )


def _threads(rows: Iterable[_ThreadRow]) -> dict[ConversationId, Thread]:
    threads: dict[ConversationId, Thread] = {}
    for row in rows:
        conversation_id = ConversationId(row.conversation_id)
        thread = threads.setdefault(
            conversation_id,
            Thread(
                conversation_id=conversation_id,
                low_id=UserId(row.low_id),
                high_id=UserId(row.high_id),
                last_number=row.last_number,
                low_count=row.low_count,
            ),
        )
        thread.members[UserId(row.user_id)] = Membership(
            user_id=UserId(row.user_id),
            other_id=UserId(row.other_id),
            state=MemberState(row.state),
            read_number=row.read_number,
            read_received=row.read_received,
            update_time=row.update_time,
        )
    return threads


def _stored_message(row: _MessageRow) -> StoredMessage:
    return StoredMessage(
        conversation_id=ConversationId(row.conversation_id),
        number=row.number,
        message_id=MessageId(row.message_id),
        sender_id=UserId(row.sender_id),
        client_message_id=row.client_message_id,
        content=row.content,
        photo=photo_of(row.photo),
        body_digest=b"",
        low_count=row.low_count,
        log_sequence=row.log_sequence,
        send_time=row.send_time,
        unsend_time=row.unsend_time,
    )
