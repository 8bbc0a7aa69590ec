"""Conversations and messages, as one of their two members sees them."""

from enum import Enum
from typing import Annotated

import strawberry

from gateway import ids
from gateway.context import Info
from gateway.enums import described
from gateway.execution.at_hand import at_hand
from gateway.media import photos
from gateway.messages.reads import MessagePage, read_messages
from gateway.nodes import Node
from gateway.paging import After, FirstOrNone, PageInfo
from gateway.people.types import User, load_user, unseen
from gateway.scalars import DateTime, count, moment
from heliograph.dm.v1 import conversation_pb2, message_pb2

MESSAGE = "Message"
CONVERSATION = "Conversation"

LAST = "How many to return from the end, or before a cursor: 1 to 50."
BEFORE = "Return what stands before this cursor."


@strawberry.type(description="A direct message.")
class Message(Node):
    """A message of a conversation of the viewer."""

    record: strawberry.Private[message_pb2.Message]

    @strawberry.field(description="Opaque, globally unique id.")
    def id(self) -> strawberry.ID:
        """Return the id."""
        return ids.encode(MESSAGE, self.record.message_id)

    @strawberry.field(description="Id of its conversation.")
    def conversation_id(self) -> strawberry.ID:
        """Return the id of the conversation."""
        return ids.encode(CONVERSATION, self.record.conversation_id)

    @strawberry.field(
        description="Place in the conversation: 1, 2, 3 ... without a hole. Null for moments after it was sent."
    )
    def number(self) -> int | None:
        """Return its place in the conversation."""
        return count(self.record.number) if self.record.HasField("number") else None

    @strawberry.field(
        description="Who wrote it.",
        metadata=at_hand({"id"}, lambda message: User(record=unseen(message.record.sender_id))),
    )
    async def sender(self, info: Info) -> User:
        """Return the sender."""
        return await load_user(self.record.sender_id, info)

    @strawberry.field(description="Text; empty after it was taken back.")
    def content(self) -> str:
        """Return the text."""
        return self.record.content

    @strawberry.field(description="Presigned address of its photo, for at most 5 minutes; null when it has none.")
    async def photo_url(
        self, info: Info, width: Annotated[int | None, strawberry.argument(description=photos.WIDTH)] = None
    ) -> str | None:
        """Return the address of the photo; events bear none, so it is then asked for."""
        if not self.record.HasField("photo"):
            return None
        if (known := photos.url(self.record.photo, width=width)) is not None:
            return known
        fresh = await info.context.loaders.messages.load(self.record.message_id)
        return None if fresh is None else photos.url(fresh.photo, width=width)

    @strawberry.field(description="Placeholder to show while the photo loads; see blurha.sh.")
    def blurhash(self) -> str | None:
        """Return the blurhash of the photo."""
        return self.record.photo.blurhash or None

    @strawberry.field(description="When it was accepted. For show only: the order is `number`.")
    def sent_at(self) -> DateTime:
        """Return when it was sent."""
        return moment(self.record.send_time)

    @strawberry.field(description="Whether the other member has read up to it.")
    def is_read(self) -> bool:
        """Return whether it was read."""
        return self.record.is_read

    @strawberry.field(description="When its sender took it back; null otherwise.")
    def unsent_at(self) -> DateTime | None:
        """Return when it was taken back."""
        return moment(self.record.unsend_time) if self.record.HasField("unsend_time") else None

    @strawberry.field(description="The sender's own key of it; null to the recipient.")
    def client_message_id(self) -> str | None:
        """Return the idempotency key."""
        return self.record.client_message_id or None


@strawberry.type(description="A message in a list, with its cursor.")
class MessageEdge:
    """An edge of a `MessageConnection`."""

    cursor: str = strawberry.field(description="Continues right beyond this message, either way.")
    node: Message = strawberry.field(description="The message.")


@strawberry.type(description="A page of a conversation, always in the order of `number`.")
class MessageConnection:
    """A page of messages."""

    edges: list[MessageEdge] = strawberry.field(description="The messages, oldest first.")
    page_info: PageInfo = strawberry.field(description="Where the page stands in the conversation.")


@strawberry.enum(description="How a conversation stands for the viewer.")
class ConversationState(Enum):
    """How a conversation stands for the viewer."""

    ACTIVE = described(conversation_pb2.CONVERSATION_STATE_ACTIVE, "Both take part, or the viewer wrote first.")
    REQUESTED = described(
        conversation_pb2.CONVERSATION_STATE_REQUESTED,
        "Somebody whom the viewer doesn't follow has written; the viewer hasn't decided.",
    )
    IGNORED = described(conversation_pb2.CONVERSATION_STATE_IGNORED, "The viewer ignored the request.")


@strawberry.type(description="A conversation of two people.")
class Conversation(Node):
    """A conversation of the viewer."""

    record: strawberry.Private[conversation_pb2.Conversation]

    @strawberry.field(description="Opaque, globally unique id.")
    def id(self) -> strawberry.ID:
        """Return the id."""
        return ids.encode(CONVERSATION, self.record.conversation_id)

    @strawberry.field(description="The other member.")
    async def other(self, info: Info) -> User:
        """Return the other member."""
        return await load_user(self.record.other_user_id, info)

    @strawberry.field(description="Whether it is a conversation or still a request.")
    def state(self) -> ConversationState:
        """Return how it stands."""
        return ConversationState(self.record.state)

    @strawberry.field(description="Messages of the other member that the viewer hasn't read.")
    def unread_count(self) -> int:
        """Return the number of unread messages."""
        return count(self.record.unread_count)

    @strawberry.field(description="Number up to which the viewer has read; 0 before the first.")
    def read_number(self) -> int:
        """Return how far the viewer has read."""
        return count(self.record.read_number)

    @strawberry.field(description="Number up to which the other member has read; 0 before the first.")
    def other_read_number(self) -> int:
        """Return how far the other member has read."""
        return count(self.record.other_read_number)

    @strawberry.field(description="The newest message; null when there is none.")
    def last_message(self) -> Message | None:
        """Return the newest message."""
        return Message(record=self.record.last_message) if self.record.HasField("last_message") else None

    @strawberry.field(description="When its newest message was accepted.")
    def updated_at(self) -> DateTime:
        """Return when the newest message was accepted."""
        return moment(self.record.update_time)

    @strawberry.field(
        description="Its messages, oldest first. `first` and `after` go forward from the beginning or a cursor, `last` "
        "and `before` back from the end or a cursor. With none of them: the newest 20."
    )
    async def messages(
        self,
        info: Info,
        first: FirstOrNone = None,
        after: After = None,
        last: Annotated[int | None, strawberry.argument(description=LAST)] = None,
        before: Annotated[str | None, strawberry.argument(description=BEFORE)] = None,
    ) -> MessageConnection:
        """Return a page of messages."""
        page = MessagePage.of(first=first, after=after, last=last, before=before)
        reply = await read_messages(self.record.conversation_id, page, info)
        places = list(zip(reply.messages, reply.cursors, strict=True))
        if page.is_backward:
            places.reverse()
        more = bool(reply.next_page_token)
        return MessageConnection(
            edges=[MessageEdge(cursor=place, node=Message(record=message)) for message, place in places],
            page_info=PageInfo(
                has_next_page=more and not page.is_backward,
                has_previous_page=more and page.is_backward,
                start_cursor=places[0][1] if places else None,
                end_cursor=places[-1][1] if places else None,
            ),
        )


@strawberry.type(description="A conversation in a list, with the cursor that continues after it.")
class ConversationEdge:
    """An edge of a `ConversationConnection`."""

    cursor: str = strawberry.field(description="Continues right after this conversation.")
    node: Conversation = strawberry.field(description="The conversation.")


@strawberry.type(description="A page of conversations.")
class ConversationConnection:
    """A page of conversations."""

    edges: list[ConversationEdge] = strawberry.field(description="The conversations, newest message first.")
    page_info: PageInfo = strawberry.field(description="Where the page stands in the list.")
