"""Conversations of the viewer: one, some, a page, or the one with a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dm_svc.domain import rules
from dm_svc.domain.values import Conversation, ConversationId, MemberState, UserId
from dm_svc.errors import ConversationNotFound
from dm_svc.store.reads import ReadStore
from dm_svc.usecases.await_log import AwaitLog


@dataclass(frozen=True, slots=True)
class GetConversation:
    """One conversation of the viewer, with all that was acknowledged in it."""

    store: ReadStore
    await_log: AwaitLog

    async def __call__(self, viewer: UserId, conversation_id: str) -> Conversation:
        """Return it; `ConversationNotFound` when it is absent or somebody else's: the two look the same."""
        if rules.other_of(conversation_id, viewer) is None:
            raise ConversationNotFound
        mine = ConversationId(conversation_id)
        await self.await_log.conversation(mine)
        found = (await self.store.get_conversations(viewer, [mine])).get(mine)
        if found is None:
            raise ConversationNotFound
        return found


@dataclass(frozen=True, slots=True)
class GetConversations:
    """Some conversations of the viewer."""

    store: ReadStore
    await_log: AwaitLog

    async def __call__(self, viewer: UserId, conversation_ids: Sequence[str]) -> dict[str, Conversation]:
        """Return those that exist and are the viewer's, by id."""
        mine = [ConversationId(one) for one in conversation_ids if rules.other_of(one, viewer) is not None]
        await self.await_log.own_sends()
        return {str(key): found for key, found in (await self.store.get_conversations(viewer, mine)).items()}


@dataclass(frozen=True, slots=True)
class ConversationPage:
    """Some conversations, newest message first, and whether more follow."""

    conversations: tuple[Conversation, ...]
    has_more: bool


@dataclass(frozen=True, slots=True)
class ListConversations:
    """The viewer's conversations of one state, newest message first."""

    store: ReadStore
    await_log: AwaitLog

    async def __call__(
        self, viewer: UserId, state: MemberState, *, before: tuple[datetime, str], page_size: int
    ) -> ConversationPage:
        """Return a page behind a place."""
        size = rules.checked_page_size(page_size)
        await self.await_log.own_sends()
        found = await self.store.list_conversations(viewer, state, before=before, limit=size + 1)
        return ConversationPage(tuple(found[:size]), has_more=len(found) > size)
