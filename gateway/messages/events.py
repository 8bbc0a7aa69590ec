"""What the inbox subscription yields."""

from typing import Annotated

import strawberry

from gateway import ids
from gateway.context import Context, Info
from gateway.execution.at_hand import at_hand
from gateway.messages import inbox
from gateway.messages.types import CONVERSATION, MESSAGE, Conversation, Message
from gateway.people.types import User, load_user, unseen
from gateway.scalars import count
from heliograph.dm.v1 import inbox_pb2
from mesh.cursor import CursorInvalid

CURSOR = "Give it as `after` to resume right behind this event."


@strawberry.interface(description="Something in the inbox, or about it.")
class InboxItem:
    """What all inbox events have."""

    cursor: str = strawberry.field(description=CURSOR)


@strawberry.type(description="A message was received, or sent by another device of the viewer.")
class MessageReceived(InboxItem):
    """A message arrived."""

    message: Message = strawberry.field(description="The message.")


@strawberry.type(description="A member of a conversation has read; it may be the viewer on another device.")
class ConversationRead(InboxItem):
    """A read pointer moved."""

    conversation: strawberry.Private[str]
    event: strawberry.Private[inbox_pb2.ConversationRead]

    @strawberry.field(description="Id of the conversation.")
    def conversation_id(self) -> strawberry.ID:
        """Return the id of the conversation."""
        return ids.encode(CONVERSATION, self.conversation)

    @strawberry.field(
        description="Who has read.", metadata=at_hand({"id"}, lambda read: User(record=unseen(read.event.reader_id)))
    )
    async def reader(self, info: Info) -> User:
        """Return who has read."""
        return await load_user(self.event.reader_id, info)

    @strawberry.field(description="Number of the last message that was read.")
    def up_to_number(self) -> int:
        """Return how far was read."""
        return count(self.event.up_to_number)

    @strawberry.field(description="The viewer's unread messages in the conversation after it.")
    def unread_count(self) -> int:
        """Return the viewer's number of unread messages."""
        return count(self.event.unread_count)


@strawberry.type(description="A message was taken back by its sender.")
class MessageUnsent(InboxItem):
    """A message was taken back."""

    conversation: strawberry.Private[str]
    event: strawberry.Private[inbox_pb2.MessageUnsent]

    @strawberry.field(description="Id of the conversation.")
    def conversation_id(self) -> strawberry.ID:
        """Return the id of the conversation."""
        return ids.encode(CONVERSATION, self.conversation)

    @strawberry.field(description="Id of the message.")
    def message_id(self) -> strawberry.ID:
        """Return the id of the message."""
        return ids.encode(MESSAGE, self.event.message_id)

    @strawberry.field(description="Number of the message in the conversation.")
    def number(self) -> int:
        """Return the number of the message."""
        return count(self.event.number)


@strawberry.type(description="The viewer accepted or ignored a message request, maybe on another device.")
class MessageRequestDecided(InboxItem):
    """A message request was decided."""

    key: strawberry.Private[str]
    accepted: bool = strawberry.field(description="True: accepted. False: ignored.")

    @strawberry.field(description="Id of the conversation.")
    def conversation_id(self) -> strawberry.ID:
        """Return the id of the conversation."""
        return ids.encode(CONVERSATION, self.key)

    @strawberry.field(description="The conversation as it is now.")
    async def conversation(self, info: Info) -> Conversation | None:
        """Return the conversation."""
        record = await info.context.loaders.conversations.load(self.key)
        return None if record is None else Conversation(record=record)


@strawberry.type(description="Everything up to here has been told; what follows is live.")
class InboxCaughtUp(InboxItem):
    """The replay is over."""


@strawberry.type(
    description="The cursor can't be served. Read the conversations anew; the subscription goes on from here."
)
class InboxResync(InboxItem):
    """There may be a hole before this event."""

    reason: inbox.ResyncReason = strawberry.field(description="Why.")


InboxEvent = Annotated[
    MessageReceived | ConversationRead | MessageUnsent | MessageRequestDecided | InboxCaughtUp | InboxResync,
    strawberry.union("InboxEvent", description="What the inbox subscription yields."),
]


def scope(user_id: int) -> str:
    """Return what cursors of a user's inbox are bound to."""
    return f"inbox:{user_id}"


def place_of(after: str, context: Context) -> int | None:
    """Return the place that a cursor names; `None` when it is not one of this inbox."""
    try:
        return context.services.cursors.decode_ints(scope(context.viewer_id), after, 1)[0]
    except CursorInvalid:
        return None


def shown(event: inbox.InboxEvent, context: Context) -> InboxEvent | None:
    """Return an event as clients get it; `None` for a kind that is not known here."""
    match event:
        case inbox.CaughtUp(useq):
            return InboxCaughtUp(cursor=_cursor(useq, context))
        case inbox.Resync(useq, reason):
            return InboxResync(cursor=_cursor(useq, context), reason=reason)
        case inbox.Arrived(entry):
            return _shown_entry(entry, _cursor(entry.useq, context))


def _shown_entry(entry: inbox_pb2.InboxEntry, cursor: str) -> InboxEvent | None:
    match entry.WhichOneof("event"):
        case "message_received":
            return MessageReceived(cursor=cursor, message=Message(record=entry.message_received))
        case "conversation_read":
            return ConversationRead(cursor=cursor, conversation=entry.conversation_id, event=entry.conversation_read)
        case "message_unsent":
            return MessageUnsent(cursor=cursor, conversation=entry.conversation_id, event=entry.message_unsent)
        case "message_request_decided":
            decided = entry.message_request_decided
            return MessageRequestDecided(cursor=cursor, key=entry.conversation_id, accepted=decided.accepted)
        case _:
            return None


def _cursor(useq: int, context: Context) -> str:
    return context.services.cursors.encode(scope(context.viewer_id), useq)
