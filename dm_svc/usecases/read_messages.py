"""Messages of the viewer's conversations: a page, or some by id."""

from collections.abc import Sequence
from dataclasses import dataclass

from dm_svc.domain import rules
from dm_svc.domain.values import Message, MessageId, UserId
from dm_svc.store.reads import LAST_NUMBER, ReadStore
from dm_svc.usecases.await_log import AwaitLog
from dm_svc.usecases.read_conversations import GetConversation


@dataclass(frozen=True, slots=True)
class MessagePage:
    """Some messages in the order that was asked for, and whether more follow that way."""

    messages: tuple[Message, ...]
    has_more: bool


@dataclass(frozen=True, slots=True)
class ListMessages:
    """The history of a conversation, in either direction."""

    store: ReadStore
    get_conversation: GetConversation

    async def __call__(
        self, viewer: UserId, conversation_id: str, *, place: int | None, is_upward: bool, page_size: int
    ) -> MessagePage:
        """Return a page beyond a number, or from the end that the direction names."""
        size = rules.checked_page_size(page_size)
        conversation = await self.get_conversation(viewer, conversation_id)
        start = place if place is not None else (0 if is_upward else LAST_NUMBER)
        found = await self.store.list_messages(viewer, conversation, place=start, limit=size + 1, is_upward=is_upward)
        return MessagePage(tuple(found[:size]), has_more=len(found) > size)


@dataclass(frozen=True, slots=True)
class GetMessages:
    """Messages by id."""

    store: ReadStore
    await_log: AwaitLog

    async def __call__(self, viewer: UserId, message_ids: Sequence[MessageId]) -> dict[MessageId, Message]:
        """Return those that stand in conversations of the viewer."""
        await self.await_log.own_sends()
        return await self.store.get_messages(viewer, message_ids)
