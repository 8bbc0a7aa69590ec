"""Checks of what people give, names that are derived, and who may write to whom."""

import hashlib
import re
import uuid
from collections.abc import Sequence
from typing import TypeVar
from zlib import crc32

from dm_svc.domain.values import Audience, ConversationId, MemberState, MessageId, Relation, SendState, UserId
from dm_svc.errors import (
    BatchTooLarge,
    CannotMessageSelf,
    ClientMessageIdInvalid,
    MessageEmpty,
    MessageRequestLimitReached,
    MessagesNotAccepted,
    MessageTooLong,
    PageSizeInvalid,
    RecipientNotFound,
    TextInvalid,
)

T = TypeVar("T")

MAX_CONTENT_LENGTH = 10_000
MAX_CLIENT_MESSAGE_ID_LENGTH = 64
DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 50
DEFAULT_REPLAY_SIZE = 100
MAX_REPLAY_SIZE = 500
MAX_REQUEST_MESSAGES = 5
"""Messages that a request may hold before it is accepted: enough to say who one is, too few to pester."""
MAP_VERSION = 1
"""Version of `partition_of`."""

_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
"""NUL, which Postgres doesn't store, and surrogates, which are half a character."""

_NAMES = uuid.UUID("6c4c7a0e-2f0e-5b77-9a57-3f1d2c8e4b10")
"""Namespace of derived ids; it must never change."""


def conversation_of(one: UserId, other: UserId) -> ConversationId:
    """Return the conversation of two people, the same in both directions."""
    low, high = sorted((one, other))
    return ConversationId(f"{low}-{high}")


def members_of(conversation_id: str) -> tuple[UserId, UserId] | None:
    """Return the two members, lower id first; `None` when it is no conversation id."""
    low, _, high = conversation_id.partition("-")
    if not (low.isdecimal() and high.isdecimal() and low.isascii() and high.isascii()) or len(conversation_id) > 40:
        return None
    members = UserId(int(low)), UserId(int(high))
    return members if 0 < members[0] < members[1] < 2**63 and f"{members[0]}-{members[1]}" == conversation_id else None


def other_of(conversation_id: str, viewer: UserId) -> UserId | None:
    """Return the other member; `None` when the viewer is none of the two, or it is no conversation id."""
    members = members_of(conversation_id)
    if members is None or viewer not in members:
        return None
    return members[1] if viewer == members[0] else members[0]


def partition_of(conversation_id: ConversationId, partitions: int) -> int:
    """Return the partition of a conversation: CRC-32 of its id modulo their number, stable over time and machines."""
    return crc32(conversation_id.encode()) % partitions


def message_id_of(sender: UserId, client_message_id: str) -> MessageId:
    """Return the id that every retry of this send gets."""
    return MessageId(_named(f"message:{sender}:{client_message_id}"))


def read_entry_id(reader: UserId, conversation_id: ConversationId, up_to_number: int) -> str:
    """Return the id of a log entry that moves a read pointer."""
    return _named(f"read:{reader}:{conversation_id}:{up_to_number}")


def unsend_entry_id(message_id: MessageId) -> str:
    """Return the id of the log entry that takes a message back."""
    return _named(f"unsend:{message_id}")


def _named(name: str) -> str:
    """Return the UUID of version 5 of a name (RFC 9562, 5.5), as `uuid.uuid5` does in three times as long."""
    digest = bytearray(hashlib.sha1(_NAMES.bytes + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def photo_reference(sender: UserId, client_message_id: str) -> str:
    """Return the name under which a message's photo is attached, the same at every retry."""
    return f"message:{sender}:{client_message_id}"


def body_digest(recipient: UserId, content: str, upload_id: str) -> bytes:
    """Return what tells a retry from a key used again: SHA-256 over recipient, text and upload."""
    parts = (str(recipient).encode(), content.encode(), upload_id.encode())
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()


def checked_recipient(sender: UserId, recipient_id: int) -> UserId:
    """Return the recipient; `CannotMessageSelf`, or `RecipientNotFound` for what is no user id."""
    if recipient_id == sender:
        raise CannotMessageSelf
    if not 0 < recipient_id < 2**63:
        raise RecipientNotFound
    return UserId(recipient_id)


def checked_content(content: str, *, has_photo: bool) -> str:
    """Return the text; `MessageEmpty`, `MessageTooLong` past 10,000 code points, `TextInvalid` with NUL or
    surrogates.
    """
    if len(content) > MAX_CONTENT_LENGTH:
        raise MessageTooLong(limit=MAX_CONTENT_LENGTH)
    if _UNWRITABLE.search(content):
        raise TextInvalid
    if not has_photo and not content.strip():
        raise MessageEmpty
    return content


def checked_client_message_id(client_message_id: str) -> str:
    """Return the key; `ClientMessageIdInvalid` unless it is 1 to 64 printable ASCII characters."""
    fits = 1 <= len(client_message_id) <= MAX_CLIENT_MESSAGE_ID_LENGTH
    if not fits or not (client_message_id.isascii() and client_message_id.isprintable()):
        raise ClientMessageIdInvalid(limit=MAX_CLIENT_MESSAGE_ID_LENGTH)
    return client_message_id


def checked_upload_id(upload_id: str) -> str:
    """Return the upload id, or the empty text when there is none; `TextInvalid` with a NUL."""
    if "\0" in upload_id:
        raise TextInvalid
    return upload_id


def checked_message_ids(message_ids: Sequence[str]) -> list[MessageId | None]:
    """Return the ids in the usual form, `None` for what is no UUID."""
    return [_uuid_or_none(message_id) for message_id in message_ids]


def _uuid_or_none(text: str) -> MessageId | None:
    try:
        return MessageId(str(uuid.UUID(text)))
    except ValueError:
        return None


def checked_page_size(page_size: int, *, default: int = DEFAULT_PAGE_SIZE, limit: int = MAX_PAGE_SIZE) -> int:
    """Return the page size, 0 meaning the default; `PageSizeInvalid` outside 1 to `limit`."""
    if page_size == 0:
        return default
    if not 1 <= page_size <= limit:
        raise PageSizeInvalid(limit=limit)
    return page_size


def checked_batch(items: Sequence[T], *, limit: int) -> list[T]:
    """Return the items; `BatchTooLarge` unless there are 1 to `limit`."""
    if not 1 <= len(items) <= limit:
        raise BatchTooLarge(limit=limit)
    return list(items)


def is_request(relation: Relation, state: SendState) -> bool:
    """Whether a message would be a request; an error when it may not be sent at all.

    An active conversation goes on whatever the recipient's choice. Else whom the recipient follows may always
    write, unless the choice is nobody; others may write a request of five messages, if the choice is everyone.
    Absent and blocked look the same.
    """
    if not relation.recipient_exists or relation.is_blocked:
        raise RecipientNotFound
    if state.recipient_state is MemberState.ACTIVE:
        return False
    if state.recipient_audience is Audience.NOBODY:
        raise MessagesNotAccepted
    if relation.recipient_follows_sender:
        return False
    if state.recipient_audience is Audience.FOLLOWEES:
        raise MessagesNotAccepted
    if state.sent_count >= MAX_REQUEST_MESSAGES:
        raise MessageRequestLimitReached(limit=MAX_REQUEST_MESSAGES)
    return True


def unread_count(*, received: int, read_received: int) -> int:
    """Return the unread messages: those of the other member, less those at or before the pointer."""
    return received - read_received
