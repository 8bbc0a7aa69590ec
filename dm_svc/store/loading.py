"""What the tables hold about a batch of log entries, asked for all at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar

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

Row = TypeVar("Row")

NOTHING: Mapping[ConversationId, Thread] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What must be known about some entries, and is not."""

    threads: Sequence[ConversationId]
    keys: Sequence[MessageId]
    messages: Sequence[MessageId]
    low_counts: Sequence[tuple[ConversationId, int]]

    def __bool__(self) -> bool:
        return bool(self.threads or self.keys or self.messages or self.low_counts)


def wanted_of(
    entries: Sequence[LogEntry], known: Mapping[ConversationId, Thread] = NOTHING, *, with_keys: bool = True
) -> Wanted:
    """Return what to ask for, when so much is `known` of the conversations.

    `with_keys`: also which of the messages are stored already.
    """
    changes = [entry.change for entry in entries]
    return Wanted(
        threads=list({entry.conversation_id for entry in entries} - known.keys()),
        keys=[change.message_id for change in changes if isinstance(change, MessageSent)] if with_keys else [],
        messages=[change.message_id for change in changes if isinstance(change, MessageTakenBack)],
        # Whoever read up to the end, or further, read what is known.
        low_counts=[
            (conversation_id, number)
            for conversation_id, number in read_points(entries)
            if conversation_id not in known or number < known[conversation_id].last_number
        ],
    )


async def load(connection: Connection, wanted: Wanted) -> Loaded:
    """Return what the tables hold; in a pipeline no question waits for the answer of another."""
    threads = await _ask(connection, "load_threads", _ThreadRow, conversation_ids=wanted.threads)
    keys = await _ask(connection, "load_keys", KnownKey, message_ids=wanted.keys)
    messages = await _ask(connection, "load_messages", _MessageRow, message_ids=wanted.messages)
    low_counts = await _ask(
        connection,
        "load_low_counts",
        _PlaceRow,
        conversation_ids=[one for one, _ in wanted.low_counts],
        numbers=[two for _, two in wanted.low_counts],
    )
    return Loaded(
        threads=_threads(await _rows(threads)),
        keys={key.message_id: key for key in await _rows(keys)},
        messages={MessageId(row.message_id): _stored_message(row) for row in await _rows(messages)},
        low_counts={
            (ConversationId(row.conversation_id), row.number): row.low_count for row in await _rows(low_counts)
        },
    )


async def _ask(connection: Connection, name: str, row: type[Row], **keys: Sequence[Any]) -> Answer[Row] | None:
    if not any(keys.values()):
        return None
    return await QUERIES[name].ask(connection, row, **keys)


async def _rows(answer: Answer[Row] | None) -> list[Row]:
    return [] if answer is None else await answer.rows()


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
