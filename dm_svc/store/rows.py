"""Rows and the values that they become."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from dm_svc.domain.rules import unread_count
from dm_svc.domain.values import (
    Conversation,
    ConversationId,
    EntryKind,
    InboxEntry,
    MemberState,
    Message,
    MessageId,
    Photo,
    UserId,
    Variant,
)
from mesh import queries

QUERIES = queries.load("dm_svc")


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message of a conversation."""

    conversation_id: str
    number: int
    message_id: str
    sender_id: int
    client_message_id: str
    content: str
    photo: dict[str, Any] | None
    send_time: datetime
    unsend_time: datetime | None


@dataclass(frozen=True, slots=True)
class ReadMessageRow(MessageRow):
    """A message with its recipient's pointer."""

    recipient_read_number: int


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """A conversation as a member has it, with its newest message."""

    conversation_id: str
    user_id: int
    other_id: int
    state: int
    last_number: int
    other_read_number: int
    read_number: int
    received: int
    read_received: int
    update_time: datetime
    is_mutual: bool
    message_id: str | None
    sender_id: int | None
    client_message_id: str | None
    content: str | None
    photo: dict[str, Any] | None
    send_time: datetime | None
    unsend_time: datetime | None


@dataclass(frozen=True, slots=True)
class InboxRow:
    """An inbox entry with the message that it refers to."""

    user_id: int
    useq: int
    kind: int
    conversation_id: str
    number: int
    actor_id: int
    unread_count: int
    is_accepted: bool
    commit_time: datetime
    message_id: str | None
    sender_id: int | None
    client_message_id: str | None
    content: str | None
    photo: dict[str, Any] | None
    send_time: datetime | None
    unsend_time: datetime | None


def photo_json(photo: Photo | None) -> str | None:
    """Return what is stored of a photo."""
    return None if photo is None else orjson.dumps(photo).decode()


def photo_of(stored: dict[str, Any] | None) -> Photo | None:
    """Return the photo that was stored."""
    if stored is None:
        return None
    return Photo(**{**stored, "variants": tuple(Variant(**variant) for variant in stored["variants"])})


def message_of(row: MessageRow | ConversationRow | InboxRow, number: int, viewer: UserId, *, is_read: bool) -> Message:
    """Return a message as a member sees it: a sender's key is the sender's alone."""
    return Message(
        message_id=MessageId(row.message_id or ""),
        conversation_id=ConversationId(row.conversation_id),
        number=number,
        sender_id=UserId(row.sender_id or 0),
        client_message_id=(row.client_message_id or "") if row.sender_id == viewer else "",
        content=row.content or "",
        photo=photo_of(row.photo),
        send_time=row.send_time or row.commit_time if isinstance(row, InboxRow) else _required(row.send_time),
        unsend_time=row.unsend_time,
        is_read=is_read,
    )


def conversation_of(row: ConversationRow) -> Conversation:
    """Return a conversation as its member sees it."""
    viewer = UserId(row.user_id)
    last = None
    if row.message_id is not None:
        pointer = row.other_read_number if row.sender_id == viewer else row.read_number
        last = message_of(row, row.last_number, viewer, is_read=pointer >= row.last_number)
    return Conversation(
        conversation_id=ConversationId(row.conversation_id),
        other_id=UserId(row.other_id),
        state=MemberState(row.state),
        last_number=row.last_number,
        last_message=last,
        read_number=row.read_number,
        other_read_number=row.other_read_number,
        unread_count=unread_count(received=row.received, read_received=row.read_received),
        update_time=row.update_time,
        is_mutual=row.is_mutual,
    )


def inbox_entry_of(row: InboxRow) -> InboxEntry:
    """Return an inbox entry. Its message is unread: what was read since is told by later entries."""
    user_id = UserId(row.user_id)
    return InboxEntry(
        user_id=user_id,
        useq=row.useq,
        kind=EntryKind(row.kind),
        conversation_id=ConversationId(row.conversation_id),
        number=row.number,
        actor_id=UserId(row.actor_id),
        unread_count=row.unread_count,
        is_accepted=row.is_accepted,
        commit_time=row.commit_time,
        message=None if row.message_id is None else message_of(row, row.number, user_id, is_read=False),
    )


def _required(moment: datetime | None) -> datetime:
    if moment is None:
        raise ValueError("a message has no time")
    return moment
