"""Typing and presence: told to those who are connected, never stored."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from dm_svc.domain import rules
from dm_svc.domain.values import ConversationId, UserId
from dm_svc.errors import ConversationNotFound
from dm_svc.events import Announcer
from dm_svc.peers.graph import Graph
from dm_svc.store.reads import ReadStore
from dm_svc.usecases.await_log import AwaitLog
from dm_svc.usecases.limit_rate import LimitRate

REPORT_INTERVAL = timedelta(seconds=30)
PARTNERS = 200
"""How many of those whom a person talks with are told of their presence, the most recent ones."""


@dataclass(frozen=True, slots=True)
class SetTyping:
    """Tells the other member that the viewer types or stopped."""

    store: ReadStore
    graph: Graph
    announcer: Announcer
    limit: LimitRate
    await_log: AwaitLog

    async def __call__(self, viewer: UserId, conversation_id: str, *, is_typing: bool) -> None:
        """Tell, unless the request isn't accepted or a block stands between the two: then nobody hears."""
        other = rules.other_of(conversation_id, viewer)
        if other is None:
            raise ConversationNotFound
        self.limit(viewer)
        mine = ConversationId(conversation_id)
        conversations, relations = await asyncio.gather(
            self.store.get_conversations(viewer, [mine]), self.graph.relations([(viewer, other)])
        )
        if mine not in conversations and await self.await_log.conversation(mine):
            # Its first message was acknowledged a moment ago.
            conversations = await self.store.get_conversations(viewer, [mine])
        if mine not in conversations:
            raise ConversationNotFound
        if not conversations[mine].is_mutual or relations[viewer, other].is_blocked:
            return
        await self.announcer.tell_typing(mine, typist=viewer, to=other, is_typing=is_typing)


@dataclass(frozen=True, slots=True)
class ReportPresence:
    """Tells those whom the viewer talks with that the viewer is here or left."""

    store: ReadStore
    graph: Graph
    announcer: Announcer
    limit: LimitRate

    async def __call__(self, viewer: UserId, *, is_online: bool) -> timedelta:
        """Tell, and return how long to wait before reporting again."""
        self.limit(viewer)
        partners = await self.store.list_partners(viewer, limit=PARTNERS)
        if partners:
            relations = await self.graph.relations([(viewer, partner) for partner in partners])
            open_to = [partner for partner in partners if not relations[viewer, partner].is_blocked]
            await self.announcer.tell_presence(viewer, to=open_to, is_online=is_online)
        return REPORT_INTERVAL
