"""heliograph.dm.v1.MessageService."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration

from dm_svc import wire
from dm_svc.domain import rules
from dm_svc.domain.values import Conversation, MemberState, Message, UserId
from dm_svc.errors import ConversationNotFound
from dm_svc.store.reads import END_OF_TIME
from dm_svc.usecases.choose_settings import GetSettings, UpdateSettings
from dm_svc.usecases.decide_request import DecideRequest
from dm_svc.usecases.mark_read import MarkRead
from dm_svc.usecases.read_conversations import GetConversation, GetConversations, ListConversations
from dm_svc.usecases.read_messages import GetMessages, ListMessages
from dm_svc.usecases.send_message import SendMessage
from dm_svc.usecases.tell_live import ReportPresence, SetTyping
from dm_svc.usecases.unsend_message import UnsendMessage
from dm_svc.wire import Wire
from heliograph.dm.v1 import message_service_pb2 as pb
from heliograph.dm.v1 import message_service_pb2_grpc
from mesh import auth
from mesh.clock import from_us, to_us
from mesh.cursor import CursorSigner

Context = Any
MAX_MESSAGES = 100
MAX_CONVERSATIONS = 100
FOLDERS = {
    pb.CONVERSATION_FOLDER_UNSPECIFIED: MemberState.ACTIVE,
    pb.CONVERSATION_FOLDER_ACTIVE: MemberState.ACTIVE,
    pb.CONVERSATION_FOLDER_REQUESTS: MemberState.REQUESTED,
}


def _viewer() -> UserId:
    return UserId(auth.viewer_id())


@dataclass(frozen=True, slots=True)
class MessageServicer(message_service_pb2_grpc.MessageServiceServicer):
    """Messages and conversations of the viewer."""

    send_message: SendMessage
    list_messages: ListMessages
    get_messages: GetMessages
    list_conversations: ListConversations
    get_conversation: GetConversation
    get_conversations: GetConversations
    mark_read: MarkRead
    unsend_message: UnsendMessage
    set_typing: SetTyping
    report_presence: ReportPresence
    decide_request: DecideRequest
    get_settings: GetSettings
    update_settings: UpdateSettings
    cursors: CursorSigner
    wire: Wire

    async def SendMessage(self, request: pb.SendMessageRequest, context: Context) -> pb.SendMessageResponse:
        """Send a message."""
        message = await self.send_message(
            _viewer(),
            recipient_id=request.recipient_id,
            content=request.content,
            upload_id=request.upload_id,
            client_message_id=request.client_message_id,
        )
        return pb.SendMessageResponse(message=self.wire.message(message))

    async def ListMessages(self, request: pb.ListMessagesRequest, context: Context) -> pb.ListMessagesResponse:
        """List messages of a conversation."""
        viewer = _viewer()
        scope = f"messages:{viewer}:{request.conversation_id}"
        place = self.cursors.decode_ints(scope, request.page_token, 1)[0] if request.page_token else None
        page = await self.list_messages(
            viewer,
            request.conversation_id,
            place=place,
            is_upward=request.order == pb.MESSAGE_ORDER_OLDEST_FIRST,
            page_size=request.page_size,
        )

        def cursor(message: Message) -> str:
            return self.cursors.encode(scope, message.number or 0)

        return pb.ListMessagesResponse(
            messages=[self.wire.message(message) for message in page.messages],
            next_page_token=cursor(page.messages[-1]) if page.has_more else "",
            cursors=[cursor(message) for message in page.messages] if request.include_cursors else (),
        )

    async def BatchGetMessages(
        self, request: pb.BatchGetMessagesRequest, context: Context
    ) -> pb.BatchGetMessagesResponse:
        """Look messages up."""
        asked = rules.checked_batch(request.message_ids, limit=MAX_MESSAGES)
        message_ids = rules.checked_message_ids(asked)
        found = await self.get_messages(_viewer(), [one for one in message_ids if one is not None])
        return pb.BatchGetMessagesResponse(
            results=[
                pb.MessageLookup(
                    message_id=text,
                    found=message_id in found,
                    message=self.wire.message(found[message_id]) if message_id in found else None,
                )
                for text, message_id in zip(asked, message_ids, strict=True)
            ]
        )

    async def ListConversations(
        self, request: pb.ListConversationsRequest, context: Context
    ) -> pb.ListConversationsResponse:
        """List the viewer's conversations."""
        viewer = _viewer()
        state = FOLDERS.get(request.folder, MemberState.ACTIVE)
        scope = f"conversations:{viewer}:{state.name}"
        page = await self.list_conversations(
            viewer, state, before=self._conversation_place(scope, request.page_token), page_size=request.page_size
        )

        def cursor(conversation: Conversation) -> str:
            return self.cursors.encode(scope, to_us(conversation.update_time), conversation.conversation_id)

        return pb.ListConversationsResponse(
            conversations=[self.wire.conversation(one) for one in page.conversations],
            next_page_token=cursor(page.conversations[-1]) if page.has_more else "",
            cursors=[cursor(one) for one in page.conversations] if request.include_cursors else (),
        )

    async def BatchGetConversations(
        self, request: pb.BatchGetConversationsRequest, context: Context
    ) -> pb.BatchGetConversationsResponse:
        """Look conversations up."""
        asked = rules.checked_batch(request.conversation_ids, limit=MAX_CONVERSATIONS)
        found = await self.get_conversations(_viewer(), asked)
        return pb.BatchGetConversationsResponse(
            results=[
                pb.ConversationLookup(
                    conversation_id=one,
                    found=one in found,
                    conversation=self.wire.conversation(found[one]) if one in found else None,
                )
                for one in asked
            ]
        )

    async def GetConversationWithUser(
        self, request: pb.GetConversationWithUserRequest, context: Context
    ) -> pb.GetConversationWithUserResponse:
        """Find the viewer's conversation with a person."""
        viewer = _viewer()
        if request.user_id in (0, viewer):
            raise ConversationNotFound
        conversation_id = rules.conversation_of(viewer, UserId(request.user_id))
        found = await self.get_conversation(viewer, conversation_id)
        return pb.GetConversationWithUserResponse(conversation=self.wire.conversation(found))

    async def MarkRead(self, request: pb.MarkReadRequest, context: Context) -> pb.MarkReadResponse:
        """Move the viewer's read pointer."""
        found = await self.mark_read(_viewer(), request.conversation_id, up_to_number=request.up_to_number)
        return pb.MarkReadResponse(conversation=self.wire.conversation(found))

    async def Unsend(self, request: pb.UnsendRequest, context: Context) -> pb.UnsendResponse:
        """Take a message back."""
        message = await self.unsend_message(_viewer(), request.message_id)
        return pb.UnsendResponse(message=self.wire.message(message))

    async def SetTyping(self, request: pb.SetTypingRequest, context: Context) -> pb.SetTypingResponse:
        """Tell that the viewer types."""
        await self.set_typing(_viewer(), request.conversation_id, is_typing=request.is_typing)
        return pb.SetTypingResponse()

    async def ReportPresence(self, request: pb.ReportPresenceRequest, context: Context) -> pb.ReportPresenceResponse:
        """Tell that the viewer is here or left."""
        interval = await self.report_presence(_viewer(), is_online=request.is_online)
        return pb.ReportPresenceResponse(report_interval=_duration(interval))

    async def AcceptMessageRequest(
        self, request: pb.AcceptMessageRequestRequest, context: Context
    ) -> pb.AcceptMessageRequestResponse:
        """Accept a message request."""
        found = await self.decide_request(_viewer(), request.conversation_id, accepted=True)
        return pb.AcceptMessageRequestResponse(conversation=self.wire.conversation(found))

    async def IgnoreMessageRequest(
        self, request: pb.IgnoreMessageRequestRequest, context: Context
    ) -> pb.IgnoreMessageRequestResponse:
        """Ignore a message request."""
        found = await self.decide_request(_viewer(), request.conversation_id, accepted=False)
        return pb.IgnoreMessageRequestResponse(conversation=self.wire.conversation(found))

    async def GetMessageSettings(
        self, request: pb.GetMessageSettingsRequest, context: Context
    ) -> pb.GetMessageSettingsResponse:
        """Return the viewer's choices."""
        audience = await self.get_settings(_viewer())
        return pb.GetMessageSettingsResponse(settings=wire.message_settings(audience))

    async def UpdateMessageSettings(
        self, request: pb.UpdateMessageSettingsRequest, context: Context
    ) -> pb.UpdateMessageSettingsResponse:
        """Change the viewer's choices."""
        audience = await self.update_settings(_viewer(), wire.audience_of(request.settings))
        return pb.UpdateMessageSettingsResponse(settings=wire.message_settings(audience))

    def _conversation_place(self, scope: str, page_token: str) -> tuple[datetime, str]:
        if not page_token:
            return END_OF_TIME, ""
        moment, conversation_id = self.cursors.decode(scope, page_token, (int, str))
        return from_us(int(moment)), str(conversation_id)


def _duration(value: timedelta) -> Duration:
    result = Duration()
    result.FromTimedelta(value)
    return result
