"""Reads of conversations that several places share."""

from dataclasses import dataclass
from typing import Self

from gateway import paging
from gateway.context import Info
from gateway.errors import ArgumentsInvalid
from heliograph.dm.v1.message_service_pb2 import (
    MESSAGE_ORDER_NEWEST_FIRST,
    MESSAGE_ORDER_OLDEST_FIRST,
    ListMessagesRequest,
    ListMessagesResponse,
)


@dataclass(frozen=True, slots=True)
class MessagePage:
    """Which part of a conversation is asked for."""

    size: int
    token: str
    is_backward: bool

    @classmethod
    def of(cls, *, first: int | None, after: str | None, last: int | None, before: str | None) -> Self:
        """Read Relay's four arguments; `ArgumentsInvalid` when both directions are asked for at once."""
        forward = first is not None or after is not None
        backward = last is not None or before is not None
        if forward and backward:
            raise ArgumentsInvalid("page with first and after, or with last and before, not with both")
        if forward:
            return cls(paging.page_size(first), paging.cursor(after), is_backward=False)
        return cls(paging.page_size(last), paging.cursor(before), is_backward=True)


async def read_messages(conversation_id: str, page: MessagePage, info: Info) -> ListMessagesResponse:
    """Return the service's page, in the order of its direction, with cursors."""
    request = ListMessagesRequest(
        conversation_id=conversation_id,
        page_size=page.size,
        page_token=page.token,
        order=MESSAGE_ORDER_NEWEST_FIRST if page.is_backward else MESSAGE_ORDER_OLDEST_FIRST,
        include_cursors=True,
    )
    return await info.context.clients.messages.ListMessages(request)
