"""What people read: conversations, messages, inboxes, settings. Each query returns only what is the viewer's."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from dm_svc.domain.rules import conversation_of as conversation_id_of
from dm_svc.domain.values import (
    Audience,
    Conversation,
    ConversationId,
    Head,
    InboxEntry,
    KnownKey,
    MemberState,
    Message,
    MessageId,
    SendState,
    UserId,
)
from dm_svc.store.rows import (
    QUERIES,
    ConversationRow,
    InboxRow,
    MessageRow,
    ReadMessageRow,
    conversation_of,
    inbox_entry_of,
    message_of,
)
from mesh.postgres import Postgres

END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)
"""Before every conversation: where a list begins."""
LAST_NUMBER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class _SendStateRow:
    sender_state: int | None
    recipient_state: int | None
    recipient_audience: int
    sent_count: int
    known_conversation_id: str | None
    known_number: int | None
    known_digest: bytes | None


class ReadStore:
    """What people read."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def known_keys(self, message_ids: Sequence[MessageId]) -> dict[MessageId, KnownKey]:
        """Return what idempotency keys were used for, of those that are stored."""
        async with self._postgres.primary() as connection:
            rows = await QUERIES["load_keys"].all(connection, KnownKey, message_ids=list(message_ids))
        return {row.message_id: row for row in rows}

    async def send_states(
        self, sends: Sequence[tuple[MessageId, UserId, UserId]]
    ) -> list[tuple[KnownKey | None, SendState]]:
        """Return what must be known before sends (message id, sender, recipient), in their order.

        That is what the key was used for, `None` when it is new, and what is between the two people.
        """
        async with self._postgres.primary() as connection:
            rows = await QUERIES["send_states"].all(
                connection,
                _SendStateRow,
                message_ids=[message_id for message_id, _, _ in sends],
                conversation_ids=[conversation_id_of(sender, recipient) for _, sender, recipient in sends],
                sender_ids=[sender for _, sender, _ in sends],
                recipient_ids=[recipient for _, _, recipient in sends],
            )
        return [
            (_known_key(message_id, row), _send_state(row)) for (message_id, _, _), row in zip(sends, rows, strict=True)
        ]

    async def get_conversations(
        self, viewer: UserId, conversation_ids: Sequence[ConversationId]
    ) -> dict[ConversationId, Conversation]:
        """Return those of the conversations that are the viewer's."""
        async with self._postgres.primary() as connection:
            rows = await QUERIES["get_conversations"].all(
                connection, ConversationRow, user_id=viewer, conversation_ids=list(conversation_ids)
            )
        return {ConversationId(row.conversation_id): conversation_of(row) for row in rows}

    async def list_conversations(
        self, viewer: UserId, state: MemberState, *, before: tuple[datetime, str], limit: int
    ) -> list[Conversation]:
        """Return the viewer's conversations of one state behind a place, newest message first."""
        async with self._postgres.primary() as connection:
            rows = await QUERIES["list_conversations"].all(
                connection,
                ConversationRow,
                user_id=viewer,
                state=int(state),
                before_time=before[0],
                before_id=before[1],
                limit=limit,
            )
        return [conversation_of(row) for row in rows]

    async def list_messages(
        self, viewer: UserId, conversation: Conversation, *, place: int, limit: int, is_upward: bool
    ) -> list[Message]:
        """Return messages beyond a number, going up (oldest first) or down (newest first)."""
        async with self._postgres.primary() as connection:
            rows = await QUERIES["list_messages_up" if is_upward else "list_messages_down"].all(
                connection,
                MessageRow,
                conversation_id=conversation.conversation_id,
                viewer_id=viewer,
                place=place,
                limit=limit,
            )
        return [
            message_of(
                row,
                row.number,
                viewer,
                is_read=row.number
                <= (conversation.other_read_number if row.sender_id == viewer else conversation.read_number),
            )
            for row in rows
        ]

    async def get_messages(self, viewer: UserId, message_ids: Sequence[MessageId]) -> dict[MessageId, Message]:
        """Return those of the messages that stand in conversations of the viewer."""
        async with self._postgres.primary() as connection:
            rows = await QUERIES["get_messages"].all(
                connection, ReadMessageRow, viewer_id=viewer, message_ids=list(message_ids)
            )
        return {
            MessageId(row.message_id): message_of(
                row, row.number, viewer, is_read=row.number <= row.recipient_read_number
            )
            for row in rows
        }

    async def get_heads(self, user_ids: Sequence[UserId]) -> dict[UserId, Head]:
        """Return where inboxes end, of those who have one."""
        async with self._postgres.primary() as connection:
            heads = await QUERIES["get_heads"].all(connection, Head, user_ids=list(user_ids))
        return {head.user_id: head for head in heads}

    async def replay_inbox(self, user_id: UserId, *, after: int, head: int, limit: int) -> list[InboxEntry]:
        """Return inbox entries behind a place, oldest first."""
        async with self._postgres.primary() as connection:
            rows = await QUERIES["replay_inbox"].all(
                connection, InboxRow, user_id=user_id, after=after, head=head, limit=limit
            )
        return [inbox_entry_of(row) for row in rows]

    async def list_partners(self, user_id: UserId, *, limit: int) -> list[UserId]:
        """Return whom a person talks with, most recent first."""
        async with self._postgres.primary() as connection:
            return await QUERIES["list_partners"].values(connection, user_id=user_id, limit=limit)

    async def get_audience(self, user_id: UserId) -> Audience:
        """Return who may write to a person."""
        async with self._postgres.primary() as connection:
            found = await QUERIES["get_audience"].value(connection, user_id=user_id)
        return Audience.EVERYONE if found is None else Audience(found)

    async def set_audience(self, user_id: UserId, audience: Audience) -> None:
        """Write who may write to a person."""
        async with self._postgres.primary() as connection:
            await QUERIES["set_audience"].run(connection, user_id=user_id, audience=int(audience))

    async def get_position(self, partition: int) -> int:
        """Return up to which sequence a partition of the log is in the tables."""
        async with self._postgres.primary() as connection:
            position: int = await QUERIES["get_position"].value(connection, partition=partition)
        return position


def _known_key(message_id: MessageId, row: _SendStateRow) -> KnownKey | None:
    if row.known_conversation_id is None or row.known_number is None or row.known_digest is None:
        return None
    return KnownKey(message_id, ConversationId(row.known_conversation_id), row.known_number, row.known_digest)


def _send_state(row: _SendStateRow) -> SendState:
    return SendState(
        sender_state=None if row.sender_state is None else MemberState(row.sender_state),
        recipient_state=None if row.recipient_state is None else MemberState(row.recipient_state),
        recipient_audience=Audience(row.recipient_audience),
        sent_count=row.sent_count,
    )
