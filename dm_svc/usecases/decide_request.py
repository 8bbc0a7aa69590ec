"""Accept or ignore a message request."""

import uuid
from dataclasses import dataclass

from dm_svc.domain.values import Conversation, LogEntry, MemberState, RequestDecided, UserId
from dm_svc.errors import NotAMessageRequest
from dm_svc.usecases.append_and_wait import AppendAndWait
from dm_svc.usecases.read_conversations import GetConversation
from mesh.clock import Clock


@dataclass(frozen=True, slots=True)
class DecideRequest:
    """The recipient's decision; the requester is never told of a refusal."""

    get_conversation: GetConversation
    append: AppendAndWait
    clock: Clock

    async def __call__(self, viewer: UserId, conversation_id: str, *, accepted: bool) -> Conversation:
        """Return the conversation as decided; the same decision again changes nothing."""
        conversation = await self.get_conversation(viewer, conversation_id)
        if conversation.state is (MemberState.ACTIVE if accepted else MemberState.IGNORED):
            return conversation
        if conversation.state is MemberState.ACTIVE:
            raise NotAMessageRequest
        await self.append(
            LogEntry(
                sequence=0,
                # Not derived: who accepts, after having ignored, decides anew.
                entry_id=str(uuid.uuid4()),
                conversation_id=conversation.conversation_id,
                actor_id=viewer,
                other_id=conversation.other_id,
                accept_time=self.clock.now(),
                change=RequestDecided(accepted),
            )
        )
        return await self.get_conversation(viewer, conversation_id)
