"""Queries about conversations."""

from enum import Enum
from typing import Annotated

import strawberry

from gateway import ids, paging
from gateway.context import Info
from gateway.enums import described
from gateway.errors import ArgumentsInvalid
from gateway.messages.types import CONVERSATION, Conversation, ConversationConnection, ConversationEdge, Message
from gateway.paging import After, First, PageInfo
from gateway.people.types import KIND as USER
from heliograph.dm.v1 import message_service_pb2
from heliograph.dm.v1.message_service_pb2 import GetConversationWithUserRequest, ListConversationsRequest
from mesh.errors import NotFound


class ConversationNotFound(NotFound):
    """There is no such conversation of the viewer."""

    reason = "CONVERSATION_NOT_FOUND"
    message = "there is no such conversation"


@strawberry.enum(description="Which conversations to list.")
class ConversationFolder(Enum):
    """Which conversations to list."""

    ACTIVE = described(message_service_pb2.CONVERSATION_FOLDER_ACTIVE, "Active conversations.")
    REQUESTS = described(message_service_pb2.CONVERSATION_FOLDER_REQUESTS, "Message requests that await a decision.")


@strawberry.type
class MessageQueries:
    """Fields of `Query` about conversations."""

    @strawberry.field(description="The viewer's conversations, newest message first.")
    async def conversations(
        self,
        info: Info,
        first: First = 20,
        after: After = None,
        folder: Annotated[
            ConversationFolder, strawberry.argument(description="Which ones.")
        ] = ConversationFolder.ACTIVE,
    ) -> ConversationConnection:
        """Return a page of conversations."""
        request = ListConversationsRequest(
            page_size=paging.page_size(first),
            page_token=paging.cursor(after),
            folder=folder.value,
            include_cursors=paging.wants_cursors(info),
        )
        reply = await info.context.clients.messages.ListConversations(request)
        return ConversationConnection(
            edges=[
                ConversationEdge(cursor=cursor, node=Conversation(record=record))
                for record, cursor in paging.with_cursors(reply.conversations, reply.cursors)
            ],
            page_info=PageInfo(has_next_page=bool(reply.next_page_token), end_cursor=reply.next_page_token or None),
        )

    @strawberry.field(
        description="A conversation of the viewer by its id (CONVERSATION_NOT_FOUND when there is none), or the one "
        "with a person (null when there is none yet)."
    )
    async def conversation(
        self,
        info: Info,
        id: Annotated[strawberry.ID | None, strawberry.argument(description="Id of the conversation.")] = None,
        with_user_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Id of the other member.")
        ] = None,
    ) -> Conversation | None:
        """Return a conversation."""
        if (id is None) == (with_user_id is None):
            raise ArgumentsInvalid("give either id or withUserId")
        if with_user_id is not None:
            return await conversation_with(ids.number(USER, with_user_id), info)
        found = await load_conversation(ids.pair(CONVERSATION, id or ""), info)
        if found is None:
            raise ConversationNotFound
        return found


async def conversation_with(user_id: int, info: Info) -> Conversation | None:
    """Return the viewer's conversation with a person; `None` when there is none."""
    try:
        reply = await info.context.clients.messages.GetConversationWithUser(
            GetConversationWithUserRequest(user_id=user_id)
        )
    except NotFound:
        return None
    return Conversation(record=reply.conversation)


async def load_conversation(conversation_id: str, info: Info) -> Conversation | None:
    """Return a conversation by id; `None` when it is absent or not the viewer's."""
    record = await info.context.loaders.conversations.load(conversation_id)
    return None if record is None else Conversation(record=record)


async def load_message(message_id: str, info: Info) -> Message | None:
    """Return a message by id; `None` when it is absent or not in a conversation of the viewer."""
    record = await info.context.loaders.messages.load(message_id)
    return None if record is None else Message(record=record)
