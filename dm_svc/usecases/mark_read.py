"""Move a read pointer forward."""

from dataclasses import dataclass

from dm_svc.domain import rules
from dm_svc.domain.values import Conversation, ConversationRead, LogEntry, UserId
from dm_svc.errors import NumberOutOfRange
from dm_svc.usecases.append_and_wait import AppendAndWait
from dm_svc.usecases.read_conversations import GetConversation
from mesh.clock import Clock


@dataclass(frozen=True, slots=True)
class MarkRead:
    """A pointer per member, forward only, moved through the log like everything else."""

    get_conversation: GetConversation
    append: AppendAndWait
    clock: Clock

    async def __call__(self, viewer: UserId, conversation_id: str, *, up_to_number: int) -> Conversation:
        """Return the conversation with the pointer where it is now."""
        conversation = await self.get_conversation(viewer, conversation_id)
        if not 1 <= up_to_number <= conversation.last_number:
            raise NumberOutOfRange(limit=conversation.last_number)
        if up_to_number <= conversation.read_number:
            return conversation
        await self.append(
            LogEntry(
                sequence=0,
                entry_id=rules.read_entry_id(viewer, conversation.conversation_id, up_to_number),
                conversation_id=conversation.conversation_id,
                actor_id=viewer,
                other_id=conversation.other_id,
                accept_time=self.clock.now(),
                change=ConversationRead(up_to_number),
            )
        )
        return await self.get_conversation(viewer, conversation_id)
