"""What the service speaks of: conversations, messages, log entries, inbox entries."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import NewType

UserId = NewType("UserId", int)
ConversationId = NewType("ConversationId", str)
"""The two user ids in decimal, lower first, joined by a hyphen: both directions share one order."""
MessageId = NewType("MessageId", str)


class MemberState(IntEnum):
    """How a conversation stands for one member."""

    ACTIVE = 1
    REQUESTED = 2
    IGNORED = 3


class Audience(IntEnum):
    """Who may write to a person without having been written to."""

    EVERYONE = 1
    FOLLOWEES = 2
    NOBODY = 3


class EntryKind(IntEnum):
    """What an inbox entry tells."""

    MESSAGE = 1
    READ = 2
    UNSENT = 3
    DECIDED = 4


@dataclass(frozen=True, slots=True)
class Variant:
    """One size and format of a photo; `name` completes the key prefix."""

    name: str
    width: int
    height: int
    format: int
    size_bytes: int
    is_square: bool


@dataclass(frozen=True, slots=True)
class Photo:
    """A finished photo and its place in the private bucket."""

    upload_id: str
    bucket: str
    key_prefix: str
    variants: tuple[Variant, ...]
    blurhash: str
    dominant_colour: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class MessageSent:
    """A message as its sender wrote it."""

    message_id: MessageId
    client_message_id: str
    content: str
    photo: Photo | None
    body_digest: bytes
    is_request: bool


@dataclass(frozen=True, slots=True)
class MessageTakenBack:
    """The actor took one of their messages back."""

    message_id: MessageId


@dataclass(frozen=True, slots=True)
class ConversationRead:
    """The actor read up to a message."""

    up_to_number: int


@dataclass(frozen=True, slots=True)
class RequestDecided:
    """The actor accepted or ignored the other's message request."""

    accepted: bool


Change = MessageSent | MessageTakenBack | ConversationRead | RequestDecided


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry of a conversation's log; its sequence in the partition's stream is the order."""

    sequence: int
    entry_id: str
    conversation_id: ConversationId
    actor_id: UserId
    other_id: UserId
    accept_time: datetime
    change: Change


@dataclass(frozen=True, slots=True)
class Message:
    """A message as one member sees it. `number` is `None` until it is persisted."""

    message_id: MessageId
    conversation_id: ConversationId
    number: int | None
    sender_id: UserId
    client_message_id: str
    content: str
    photo: Photo | None
    send_time: datetime
    unsend_time: datetime | None
    is_read: bool


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation as one member sees it."""

    conversation_id: ConversationId
    other_id: UserId
    state: MemberState
    last_number: int
    last_message: Message | None
    read_number: int
    other_read_number: int
    """0 while the viewer's request is not accepted: a requester isn't told what was read."""
    unread_count: int
    update_time: datetime
    is_mutual: bool
    """Whether it is active for both."""


@dataclass(frozen=True, slots=True)
class InboxEntry:
    """One entry of a person's inbox, as it is read."""

    user_id: UserId
    useq: int
    kind: EntryKind
    conversation_id: ConversationId
    number: int
    actor_id: UserId
    unread_count: int
    is_accepted: bool
    commit_time: datetime
    message: Message | None
    """For MESSAGE and UNSENT."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where an inbox ends, and the first entry that is kept."""

    user_id: UserId
    head_useq: int
    first_useq: int


@dataclass(frozen=True, slots=True)
class Relation:
    """How the sender and the recipient stand to each other."""

    recipient_exists: bool
    recipient_follows_sender: bool
    is_blocked: bool
    """By either of the two."""


@dataclass(frozen=True, slots=True)
class SendState:
    """What is known about a send before it is logged."""

    sender_state: MemberState | None
    recipient_state: MemberState | None
    """`None` when they never talked."""
    recipient_audience: Audience
    sent_count: int
    """Messages that the sender wrote in the conversation so far."""


@dataclass(frozen=True, slots=True)
class KnownKey:
    """What an idempotency key was used for."""

    message_id: MessageId
    conversation_id: ConversationId
    number: int
    body_digest: bytes


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A log entry that could not be persisted."""

    dead_letter_id: int
    partition: int
    log_sequence: int
    subject: str
    error: str
    size_bytes: int
    dead_time: datetime
    replay_time: datetime | None
    attempts: int
    """How often it was tried to persist it."""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message that was delivered, without what was written."""

    message_id: MessageId
    conversation_id: ConversationId
    sender_id: UserId
    useq: int
