"""dm_svc, as its protos promise."""

from typing import Any

from heliograph.dm.v1 import (
    conversation_pb2,
    inbox_service_pb2,
    message_pb2,
    message_service_pb2,
    message_settings_pb2,
)
from mesh import auth
from mesh.errors import FailedPrecondition, InvalidArgument, NotFound
from tests.unit.gateway.world.feed import FeedWorld
from tests.unit.gateway.world.records import START, error, pair


class MessageWorld(FeedWorld):
    """Its RPCs; who blocks whom decides."""

    def _conversation(self, conversation_id: str) -> conversation_pb2.Conversation | None:
        me = auth.viewer_id()
        members = [int(one) for one in conversation_id.split("-")]
        log = self.messages.get(conversation_id)
        if me not in members or not log:
            return None
        other = members[1] if members[0] == me else members[0]
        read = self.read[conversation_id, me]
        conversation = conversation_pb2.Conversation(
            conversation_id=conversation_id,
            other_user_id=other,
            state=conversation_pb2.CONVERSATION_STATE_ACTIVE,
            last_number=len(log),
            last_message=self._shown(log[-1]),
            read_number=read,
            other_read_number=self.read[conversation_id, other],
            unread_count=sum(1 for one in log if one.number > read and one.sender_id != me),
        )
        conversation.update_time.CopyFrom(log[-1].send_time)
        return conversation

    def _shown(self, message: message_pb2.Message) -> message_pb2.Message:
        other = next(int(one) for one in message.conversation_id.split("-") if int(one) != message.sender_id)
        shown = message_pb2.Message()
        shown.CopyFrom(message)
        shown.is_read = self.read[message.conversation_id, other] >= message.number
        return shown

    def _needed(self, conversation_id: str) -> conversation_pb2.Conversation:
        if (found := self._conversation(conversation_id)) is None:
            raise error(NotFound, "CONVERSATION_NOT_FOUND")
        return found

    def SendMessage(self, request: message_service_pb2.SendMessageRequest) -> Any:
        self._user(request.recipient_id)
        if request.recipient_id == auth.viewer_id():
            raise error(InvalidArgument, "CANNOT_MESSAGE_YOURSELF")
        if not request.content:
            raise error(InvalidArgument, "MESSAGE_EMPTY")
        message = self.say(auth.viewer_id(), request.recipient_id, request.content, request.client_message_id)
        return message_service_pb2.SendMessageResponse(message=self._shown(message))

    def ListMessages(self, request: message_service_pb2.ListMessagesRequest) -> Any:
        self._needed(request.conversation_id)
        log = [self._shown(one) for one in self.messages[request.conversation_id]]
        backward = request.order != message_service_pb2.MESSAGE_ORDER_OLDEST_FIRST
        if backward:
            log.reverse()
        if request.page_token:
            at = int(request.page_token)
            log = [one for one in log if (one.number < at if backward else one.number > at)]
        page = log[: request.page_size or 20]
        return message_service_pb2.ListMessagesResponse(
            messages=page,
            cursors=[str(one.number) for one in page] if request.include_cursors else [],
            next_page_token=str(page[-1].number) if len(page) < len(log) else "",
        )

    def BatchGetMessages(self, request: message_service_pb2.BatchGetMessagesRequest) -> Any:
        me, reply = auth.viewer_id(), message_service_pb2.BatchGetMessagesResponse()
        known = {one.message_id: one for log in self.messages.values() for one in log}
        for message_id in request.message_ids:
            message = known.get(message_id)
            found = message is not None and str(me) in message.conversation_id.split("-")
            reply.results.add(
                message_id=message_id, found=found, message=self._shown(message) if found and message else None
            )
        return reply

    def ListConversations(self, request: message_service_pb2.ListConversationsRequest) -> Any:
        if request.folder == message_service_pb2.CONVERSATION_FOLDER_REQUESTS:
            return message_service_pb2.ListConversationsResponse()
        found = [one for one in (self._conversation(key) for key in sorted(self.messages)) if one]
        start = int(request.page_token or 0)
        page = found[start : start + (request.page_size or 20)]
        return message_service_pb2.ListConversationsResponse(
            conversations=page,
            next_page_token=str(start + len(page)) if start + len(page) < len(found) else "",
            cursors=[str(start + i + 1) for i in range(len(page))] if request.include_cursors else [],
        )

    def BatchGetConversations(self, request: message_service_pb2.BatchGetConversationsRequest) -> Any:
        return message_service_pb2.BatchGetConversationsResponse(
            results=[
                message_service_pb2.ConversationLookup(
                    conversation_id=one, found=self._conversation(one) is not None, conversation=self._conversation(one)
                )
                for one in request.conversation_ids
            ]
        )

    def GetConversationWithUser(self, request: message_service_pb2.GetConversationWithUserRequest) -> Any:
        found = self._needed(pair(auth.viewer_id(), request.user_id))
        return message_service_pb2.GetConversationWithUserResponse(conversation=found)

    def MarkRead(self, request: message_service_pb2.MarkReadRequest) -> Any:
        self._needed(request.conversation_id)
        key = (request.conversation_id, auth.viewer_id())
        self.read[key] = max(self.read[key], request.up_to_number)
        return message_service_pb2.MarkReadResponse(conversation=self._needed(request.conversation_id))

    def Unsend(self, request: message_service_pb2.UnsendRequest) -> Any:
        for log in self.messages.values():
            for message in log:
                if message.message_id == request.message_id and message.sender_id == auth.viewer_id():
                    message.content = ""
                    message.unsend_time.FromDatetime(START)
                    return message_service_pb2.UnsendResponse(message=self._shown(message))
        raise error(NotFound, "MESSAGE_NOT_FOUND")

    def SetTyping(self, request: message_service_pb2.SetTypingRequest) -> Any:
        self._needed(request.conversation_id)
        return message_service_pb2.SetTypingResponse()

    def AcceptMessageRequest(self, request: message_service_pb2.AcceptMessageRequestRequest) -> Any:
        found = self._needed(request.conversation_id)
        return message_service_pb2.AcceptMessageRequestResponse(conversation=found)

    def IgnoreMessageRequest(self, request: message_service_pb2.IgnoreMessageRequestRequest) -> Any:
        found = self._needed(request.conversation_id)
        if (request.conversation_id, auth.viewer_id()) not in self.requests:
            raise error(FailedPrecondition, "NOT_A_MESSAGE_REQUEST")
        found.state = conversation_pb2.CONVERSATION_STATE_IGNORED
        return message_service_pb2.IgnoreMessageRequestResponse(conversation=found)

    def UpdateMessageSettings(self, request: message_service_pb2.UpdateMessageSettingsRequest) -> Any:
        self.settings[auth.viewer_id()] = request.settings.audience
        settings = message_settings_pb2.MessageSettings(audience=request.settings.audience)
        return message_service_pb2.UpdateMessageSettingsResponse(settings=settings)

    def ReplayInbox(self, request: inbox_service_pb2.ReplayInboxRequest) -> Any:
        me = auth.viewer_id()
        log = self.inboxes[me]
        head = len(log)
        if not request.HasField("after_useq"):
            return inbox_service_pb2.ReplayInboxResponse(head_useq=head, is_caught_up=True)
        if request.after_useq > head:
            return inbox_service_pb2.ReplayInboxResponse(
                head_useq=head, resync_reason=inbox_service_pb2.INBOX_RESYNC_REASON_BEYOND_HEAD
            )
        if request.after_useq < self.oldest_kept[me]:
            return inbox_service_pb2.ReplayInboxResponse(
                head_useq=head, resync_reason=inbox_service_pb2.INBOX_RESYNC_REASON_TOO_OLD
            )
        entries = log[request.after_useq : request.after_useq + (request.page_size or 100)]
        reached = request.after_useq + len(entries)
        return inbox_service_pb2.ReplayInboxResponse(entries=entries, head_useq=head, is_caught_up=reached == head)

    def GetInboxHeads(self, request: inbox_service_pb2.GetInboxHeadsRequest) -> Any:
        return inbox_service_pb2.GetInboxHeadsResponse(
            heads=[
                inbox_service_pb2.InboxHead(user_id=one, head_useq=len(self.inboxes[one])) for one in request.user_ids
            ]
        )
