"""Mutations of conversations."""

from enum import Enum

import strawberry

from gateway import ids
from gateway.context import Info
from gateway.enums import described
from gateway.inputs import Given
from gateway.messages.types import CONVERSATION, MESSAGE, Conversation, Message
from gateway.people.types import KIND as USER
from gateway.scalars import checked_text
from heliograph.dm.v1 import message_settings_pb2
from heliograph.dm.v1.message_service_pb2 import (
    AcceptMessageRequestRequest,
    IgnoreMessageRequestRequest,
    MarkReadRequest,
    SendMessageRequest,
    SetTypingRequest,
    UnsendRequest,
    UpdateMessageSettingsRequest,
)


@strawberry.enum(description="Who may write to a person.")
class MessageAudience(Enum):
    """Who may write to a person."""

    EVERYONE = described(
        message_settings_pb2.MESSAGE_AUDIENCE_EVERYONE, "Everyone: people they follow directly, others as a request."
    )
    FOLLOWEES = described(message_settings_pb2.MESSAGE_AUDIENCE_FOLLOWEES, "Only people they follow.")
    NOBODY = described(message_settings_pb2.MESSAGE_AUDIENCE_NOBODY, "Nobody; active conversations go on.")


@strawberry.input(description="What `sendMessage` needs: a text, a photo, or both.")
class SendMessageInput:
    """What `sendMessage` needs."""

    recipient_id: strawberry.ID = strawberry.field(description="To whom.")
    client_message_id: str = strawberry.field(
        description="A UUID made by the app; the same one returns the first message, for ever."
    )
    content: str = strawberry.field(description="Text; at most 10000 characters.", default="")
    upload_id: strawberry.ID | None = strawberry.field(
        description="A READY upload of the viewer, of kind MESSAGE.", default=None
    )


@strawberry.type(description="What `sendMessage` returns.")
class SendMessagePayload:
    """What `sendMessage` returns."""

    message: Message = strawberry.field(description="The message: durable, and at its place in the order.")


@strawberry.input(description="What `markConversationRead` needs.")
class MarkConversationReadInput:
    """What `markConversationRead` needs."""

    conversation_id: strawberry.ID = strawberry.field(description="The conversation.")
    up_to_number: int = strawberry.field(description="Number of the last message that was read.")


@strawberry.type(description="What `markConversationRead` returns.")
class MarkConversationReadPayload:
    """What `markConversationRead` returns."""

    conversation: Conversation = strawberry.field(description="The conversation, with the pointer where it is now.")


@strawberry.input(description="What `unsendMessage` needs.")
class UnsendMessageInput:
    """What `unsendMessage` needs."""

    message_id: strawberry.ID = strawberry.field(description="A message of the viewer.")


@strawberry.type(description="What `unsendMessage` returns.")
class UnsendMessagePayload:
    """What `unsendMessage` returns."""

    message: Message = strawberry.field(description="What remains of the message.")


@strawberry.input(description="What `setTyping` needs.")
class SetTypingInput:
    """What `setTyping` needs."""

    conversation_id: strawberry.ID = strawberry.field(description="The conversation.")
    is_typing: bool = strawberry.field(description="False: stopped.", default=True)


@strawberry.type(description="What `setTyping` returns.")
class SetTypingPayload:
    """What `setTyping` returns."""

    conversation_id: strawberry.ID = strawberry.field(description="The conversation.")


@strawberry.input(description="What `acceptMessageRequest` needs.")
class AcceptMessageRequestInput:
    """What `acceptMessageRequest` needs."""

    conversation_id: strawberry.ID = strawberry.field(description="A conversation that is still a request.")


@strawberry.type(description="What `acceptMessageRequest` returns.")
class AcceptMessageRequestPayload:
    """What `acceptMessageRequest` returns."""

    conversation: Conversation = strawberry.field(description="The conversation, ACTIVE.")


@strawberry.input(description="What `ignoreMessageRequest` needs.")
class IgnoreMessageRequestInput:
    """What `ignoreMessageRequest` needs."""

    conversation_id: strawberry.ID = strawberry.field(description="A conversation that is still a request.")


@strawberry.type(description="What `ignoreMessageRequest` returns.")
class IgnoreMessageRequestPayload:
    """What `ignoreMessageRequest` returns."""

    conversation: Conversation = strawberry.field(description="The conversation, IGNORED.")


@strawberry.input(description="What `updateMessageSettings` needs.")
class UpdateMessageSettingsInput:
    """What `updateMessageSettings` needs."""

    audience: MessageAudience = strawberry.field(description="Who may write to the viewer.")


@strawberry.type(description="What `updateMessageSettings` returns.")
class UpdateMessageSettingsPayload:
    """What `updateMessageSettings` returns."""

    audience: MessageAudience = strawberry.field(description="Who may write to the viewer now.")


@strawberry.type
class MessageMutations:
    """Fields of `Mutation` about messages."""

    @strawberry.mutation(description="Sends a message; the answer means that it is durable and has its place.")
    async def send_message(self, info: Info, input: Given[SendMessageInput]) -> SendMessagePayload:
        """Send a message."""
        request = SendMessageRequest(
            recipient_id=ids.number(USER, input.recipient_id),
            content=checked_text(input.content),
            upload_id=ids.uuid("Upload", input.upload_id) if input.upload_id is not None else "",
            client_message_id=checked_text(input.client_message_id),
        )
        reply = await info.context.clients.messages.SendMessage(request)
        return SendMessagePayload(message=Message(record=reply.message))

    @strawberry.mutation(description="Moves the viewer's read pointer forward; never back.")
    async def mark_conversation_read(
        self, info: Info, input: Given[MarkConversationReadInput]
    ) -> MarkConversationReadPayload:
        """Move the read pointer."""
        request = MarkReadRequest(
            conversation_id=ids.pair(CONVERSATION, input.conversation_id), up_to_number=input.up_to_number
        )
        reply = await info.context.clients.messages.MarkRead(request)
        return MarkConversationReadPayload(conversation=Conversation(record=reply.conversation))

    @strawberry.mutation(description="Takes a message of the viewer back: its place stays, its text and photo go.")
    async def unsend_message(self, info: Info, input: Given[UnsendMessageInput]) -> UnsendMessagePayload:
        """Take a message back."""
        request = UnsendRequest(message_id=ids.uuid(MESSAGE, input.message_id))
        reply = await info.context.clients.messages.Unsend(request)
        return UnsendMessagePayload(message=Message(record=reply.message))

    @strawberry.mutation(description="Tells the other member, if connected, that the viewer types. May be lost.")
    async def set_typing(self, info: Info, input: Given[SetTypingInput]) -> SetTypingPayload:
        """Say that the viewer types."""
        request = SetTypingRequest(
            conversation_id=ids.pair(CONVERSATION, input.conversation_id), is_typing=input.is_typing
        )
        await info.context.clients.messages.SetTyping(request)
        return SetTypingPayload(conversation_id=input.conversation_id)

    @strawberry.mutation(description="Accepts a message request; accepting again changes nothing.")
    async def accept_message_request(
        self, info: Info, input: Given[AcceptMessageRequestInput]
    ) -> AcceptMessageRequestPayload:
        """Accept a message request."""
        request = AcceptMessageRequestRequest(conversation_id=ids.pair(CONVERSATION, input.conversation_id))
        reply = await info.context.clients.messages.AcceptMessageRequest(request)
        return AcceptMessageRequestPayload(conversation=Conversation(record=reply.conversation))

    @strawberry.mutation(description="Ignores a message request: it is no longer listed, and may still be accepted.")
    async def ignore_message_request(
        self, info: Info, input: Given[IgnoreMessageRequestInput]
    ) -> IgnoreMessageRequestPayload:
        """Ignore a message request."""
        request = IgnoreMessageRequestRequest(conversation_id=ids.pair(CONVERSATION, input.conversation_id))
        reply = await info.context.clients.messages.IgnoreMessageRequest(request)
        return IgnoreMessageRequestPayload(conversation=Conversation(record=reply.conversation))

    @strawberry.mutation(description="Changes who may write to the viewer, from the next message on.")
    async def update_message_settings(
        self, info: Info, input: Given[UpdateMessageSettingsInput]
    ) -> UpdateMessageSettingsPayload:
        """Change the viewer's choices about messages."""
        settings = message_settings_pb2.MessageSettings(audience=input.audience.value)
        reply = await info.context.clients.messages.UpdateMessageSettings(
            UpdateMessageSettingsRequest(settings=settings)
        )
        return UpdateMessageSettingsPayload(audience=MessageAudience(reply.settings.audience))
