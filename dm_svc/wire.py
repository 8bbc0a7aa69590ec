"""Domain <-> protobuf, pure apart from signing addresses of photos, which is arithmetic."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from google.protobuf.timestamp_pb2 import Timestamp

from dm_svc.domain.rules import members_of
from dm_svc.domain.values import (
    Audience,
    Change,
    Conversation,
    ConversationId,
    ConversationRead,
    DeadLetter,
    EntryKind,
    InboxEntry,
    LogEntry,
    MemberState,
    Message,
    MessageId,
    MessageSent,
    MessageTakenBack,
    Photo,
    RequestDecided,
    UserId,
    Variant,
)
from dm_svc.errors import MessageSettingsInvalid
from heliograph.dm.v1 import (
    conversation_pb2,
    inbox_pb2,
    message_admin_service_pb2,
    message_pb2,
    message_settings_pb2,
)
from heliograph.events.v1 import message_events_pb2
from heliograph.media.v1 import media_pb2
from mesh.clock import EPOCH, Clock
from mesh.presign import Presigner

PHOTO_URL_LIFETIME = timedelta(minutes=5)

_STATES = {
    MemberState.ACTIVE: conversation_pb2.CONVERSATION_STATE_ACTIVE,
    MemberState.REQUESTED: conversation_pb2.CONVERSATION_STATE_REQUESTED,
    MemberState.IGNORED: conversation_pb2.CONVERSATION_STATE_IGNORED,
}
_AUDIENCES = {
    Audience.EVERYONE: message_settings_pb2.MESSAGE_AUDIENCE_EVERYONE,
    Audience.FOLLOWEES: message_settings_pb2.MESSAGE_AUDIENCE_FOLLOWEES,
    Audience.NOBODY: message_settings_pb2.MESSAGE_AUDIENCE_NOBODY,
}


class UndecodableLogEntry(ValueError):
    """Bytes of the log that are no entry of it."""


@dataclass(frozen=True, slots=True)
class Wire:
    """What people get: messages with photos that can be fetched."""

    presigner: Presigner
    clock: Clock

    def message(self, message: Message) -> message_pb2.Message:
        """Return a message with presigned photo addresses."""
        reply = message_without_urls(message)
        if message.photo is not None:
            reply.photo.CopyFrom(self._photo(message.photo))
        return reply

    def conversation(self, conversation: Conversation) -> conversation_pb2.Conversation:
        """Return a conversation with its newest message."""
        return conversation_pb2.Conversation(
            conversation_id=conversation.conversation_id,
            other_user_id=conversation.other_id,
            state=_STATES[conversation.state],
            last_number=conversation.last_number,
            last_message=self.message(conversation.last_message) if conversation.last_message else None,
            read_number=conversation.read_number,
            other_read_number=conversation.other_read_number,
            unread_count=conversation.unread_count,
            update_time=timestamp(conversation.update_time),
        )

    def inbox_entry(self, entry: InboxEntry) -> inbox_pb2.InboxEntry:
        """Return an inbox entry with presigned photo addresses."""
        reply = inbox_entry_without_urls(entry)
        if entry.kind is EntryKind.MESSAGE and entry.message is not None and entry.message.photo is not None:
            reply.message_received.photo.CopyFrom(self._photo(entry.message.photo))
        return reply

    def _photo(self, photo: Photo) -> media_pb2.Photo:
        reply = photo_without_urls(photo)
        now = self.clock.now()
        for variant, stored in zip(reply.variants, photo.variants, strict=True):
            variant.url = self.presigner.get(
                photo.bucket,
                photo.key_prefix + stored.name,
                signed_at=now,
                seconds=int(PHOTO_URL_LIFETIME.total_seconds()),
                cache_control="private, no-store",
            )
        reply.url_expire_time.FromDatetime(now + PHOTO_URL_LIFETIME)
        return reply


def message_without_urls(message: Message) -> message_pb2.Message:
    """Return a message whose photo bears no addresses: for events, which outlive them."""
    return message_pb2.Message(
        message_id=message.message_id,
        conversation_id=message.conversation_id,
        number=message.number,
        sender_id=message.sender_id,
        content=message.content,
        photo=photo_without_urls(message.photo) if message.photo else None,
        send_time=timestamp(message.send_time),
        is_read=message.is_read,
        unsend_time=timestamp(message.unsend_time) if message.unsend_time else None,
        client_message_id=message.client_message_id,
    )


def inbox_entry_without_urls(entry: InboxEntry) -> inbox_pb2.InboxEntry:
    """Return an inbox entry whose photo bears no addresses."""
    reply = inbox_pb2.InboxEntry(
        useq=entry.useq, conversation_id=entry.conversation_id, commit_time=timestamp(entry.commit_time)
    )
    match entry.kind:
        case EntryKind.MESSAGE if entry.message is not None:
            reply.message_received.CopyFrom(message_without_urls(entry.message))
        case EntryKind.READ:
            reply.conversation_read.reader_id = entry.actor_id
            reply.conversation_read.up_to_number = entry.number
            reply.conversation_read.unread_count = entry.unread_count
        case EntryKind.UNSENT if entry.message is not None:
            reply.message_unsent.message_id = entry.message.message_id
            reply.message_unsent.number = entry.number
        case EntryKind.DECIDED:
            reply.message_request_decided.accepted = entry.is_accepted
    return reply


def pack_inbox_entry(entry: InboxEntry) -> bytes:
    """Return an entry as the pending inbox keeps it."""
    return orjson.dumps(entry)


def unpack_inbox_entry(packed: bytes) -> InboxEntry:
    """Return an entry of the pending inbox."""
    fields: dict[str, Any] = orjson.loads(packed)
    message = fields["message"]
    if message is not None:
        photo = message["photo"]
        message = Message(
            **{
                **message,
                "photo": photo and Photo(**{**photo, "variants": tuple(Variant(**one) for one in photo["variants"])}),
                "send_time": datetime.fromisoformat(message["send_time"]),
                "unsend_time": message["unsend_time"] and datetime.fromisoformat(message["unsend_time"]),
            }
        )
    return InboxEntry(
        **{
            **fields,
            "kind": EntryKind(fields["kind"]),
            "commit_time": datetime.fromisoformat(fields["commit_time"]),
            "message": message,
        }
    )


def photo_without_urls(photo: Photo) -> media_pb2.Photo:
    """Return a photo whose variants bear no addresses."""
    return media_pb2.Photo(
        variants=[
            media_pb2.PhotoVariant(
                width=variant.width,
                height=variant.height,
                format=variant.format,  # type: ignore[arg-type]  # the numbers are the proto's
                size_bytes=variant.size_bytes,
                is_square=variant.is_square,
            )
            for variant in photo.variants
        ],
        blurhash=photo.blurhash,
        dominant_colour=photo.dominant_colour,
        width=photo.width,
        height=photo.height,
    )


def photo_of_media(media: media_pb2.Media) -> Photo:
    """Return the photo that media_svc tells of."""
    return Photo(
        upload_id=media.upload_id,
        bucket=media.bucket,
        key_prefix=media.key_prefix,
        variants=tuple(
            Variant(
                name=variant.url,
                width=variant.width,
                height=variant.height,
                format=int(variant.format),
                size_bytes=variant.size_bytes,
                is_square=variant.is_square,
            )
            for variant in media.variants
        ),
        blurhash=media.blurhash,
        dominant_colour=media.dominant_colour,
        width=media.width,
        height=media.height,
    )


def media_of_photo(photo: Photo, owner: UserId) -> media_pb2.Media:
    """Return a photo as the log keeps it, with its place."""
    return media_pb2.Media(
        upload_id=photo.upload_id,
        owner_id=owner,
        bucket=photo.bucket,
        key_prefix=photo.key_prefix,
        variants=[
            media_pb2.PhotoVariant(
                url=variant.name,
                width=variant.width,
                height=variant.height,
                format=variant.format,  # type: ignore[arg-type]  # the numbers are the proto's
                size_bytes=variant.size_bytes,
                is_square=variant.is_square,
            )
            for variant in photo.variants
        ],
        blurhash=photo.blurhash,
        dominant_colour=photo.dominant_colour,
        width=photo.width,
        height=photo.height,
    )


def log_entry_appended(entry: LogEntry, *, partition: int, map_version: int) -> message_events_pb2.LogEntryAppended:
    """Return an entry as the log keeps it."""
    message = message_events_pb2.LogEntryAppended(
        conversation_id=entry.conversation_id,
        partition=partition,
        map_version=map_version,
        entry_id=entry.entry_id,
        actor_id=entry.actor_id,
        other_id=entry.other_id,
        accept_time=timestamp(entry.accept_time),
    )
    match entry.change:
        case MessageSent() as sent:
            message.message_sent.message_id = sent.message_id
            message.message_sent.client_message_id = sent.client_message_id
            message.message_sent.content = sent.content
            if sent.photo is not None:
                message.message_sent.photo.CopyFrom(media_of_photo(sent.photo, entry.actor_id))
            message.message_sent.body_digest = sent.body_digest
            message.message_sent.is_request = sent.is_request
        case MessageTakenBack() as taken:
            message.message_unsent.message_id = taken.message_id
        case ConversationRead() as read:
            message.conversation_read.up_to_number = read.up_to_number
        case RequestDecided() as decided:
            message.message_request_decided.accepted = decided.accepted
    return message


def log_entry(payload: bytes, *, sequence: int, partition: int) -> LogEntry:
    """Return the entry that bytes of the log hold; `UndecodableLogEntry` says what is wrong with them."""
    try:
        message = message_events_pb2.LogEntryAppended.FromString(payload)
    except Exception as error:  # whatever the decoder says about bytes that are no message
        raise UndecodableLogEntry(f"no LogEntryAppended: {error}") from error
    members = members_of(message.conversation_id)
    if members is None or {message.actor_id, message.other_id} != set(members):
        raise UndecodableLogEntry("actor and other are not the two members of the conversation")
    if message.partition != partition:
        raise UndecodableLogEntry(f"belongs to partition {message.partition}")
    return LogEntry(
        sequence=sequence,
        entry_id=message.entry_id,
        conversation_id=ConversationId(message.conversation_id),
        actor_id=UserId(message.actor_id),
        other_id=UserId(message.other_id),
        accept_time=moment(message.accept_time),
        change=_change(message),
    )


def _change(message: message_events_pb2.LogEntryAppended) -> Change:
    match message.WhichOneof("change"):
        case "message_sent":
            sent = message.message_sent
            return MessageSent(
                message_id=MessageId(sent.message_id),
                client_message_id=sent.client_message_id,
                content=sent.content,
                photo=photo_of_media(sent.photo) if sent.HasField("photo") else None,
                body_digest=sent.body_digest,
                is_request=sent.is_request,
            )
        case "message_unsent":
            return MessageTakenBack(MessageId(message.message_unsent.message_id))
        case "conversation_read":
            return ConversationRead(message.conversation_read.up_to_number)
        case "message_request_decided":
            return RequestDecided(message.message_request_decided.accepted)
        case _:
            raise UndecodableLogEntry("a kind of change that this version does not know")


def audience_of(settings: message_settings_pb2.MessageSettings) -> Audience:
    """Return the choice; `MessageSettingsInvalid` when it is missing or unknown."""
    for audience, value in _AUDIENCES.items():
        if settings.audience == value:
            return audience
    raise MessageSettingsInvalid


def message_settings(audience: Audience) -> message_settings_pb2.MessageSettings:
    """Return the choices."""
    return message_settings_pb2.MessageSettings(audience=_AUDIENCES[audience])


def dead_letter(dead: DeadLetter) -> message_admin_service_pb2.DeadLetter:
    """Return a dead letter without its bytes."""
    return message_admin_service_pb2.DeadLetter(
        dead_letter_id=dead.dead_letter_id,
        partition=dead.partition,
        stream_sequence=dead.log_sequence,
        subject=dead.subject,
        error=dead.error,
        size_bytes=dead.size_bytes,
        dead_time=timestamp(dead.dead_time),
        replay_time=timestamp(dead.replay_time) if dead.replay_time else None,
        attempt_count=dead.attempts,
    )


def dead_letter_entry(entry: LogEntry) -> message_admin_service_pb2.DeadLetterEntry:
    """Return what an entry says, apart from what people wrote."""
    reply = message_admin_service_pb2.DeadLetterEntry(
        entry_id=entry.entry_id,
        conversation_id=entry.conversation_id,
        actor_id=entry.actor_id,
        other_id=entry.other_id,
        accept_time=timestamp(entry.accept_time),
    )
    match entry.change:
        case MessageSent() as sent:
            reply.change = message_admin_service_pb2.DEAD_LETTER_CHANGE_SENT
            reply.message_id = sent.message_id
            reply.content_length = len(sent.content)
            reply.has_photo = sent.photo is not None
        case MessageTakenBack() as taken:
            reply.change = message_admin_service_pb2.DEAD_LETTER_CHANGE_UNSENT
            reply.message_id = taken.message_id
        case ConversationRead() as read:
            reply.change = message_admin_service_pb2.DEAD_LETTER_CHANGE_READ
            reply.up_to_number = read.up_to_number
        case RequestDecided():
            reply.change = message_admin_service_pb2.DEAD_LETTER_CHANGE_DECIDED
    return reply


def timestamp(value: datetime) -> Timestamp:
    """Return a moment on the wire, by arithmetic: `FromDatetime` takes three times as long."""
    since = value - EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1_000)


def moment(value: Timestamp) -> datetime:
    """Return a moment from the wire, in UTC, to the microsecond."""
    return EPOCH + timedelta(seconds=value.seconds, microseconds=value.nanos // 1_000)
