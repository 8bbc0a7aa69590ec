"""Take a message back."""

from dataclasses import dataclass

from dm_svc.domain import rules
from dm_svc.domain.values import LogEntry, Message, MessageTakenBack, UserId
from dm_svc.errors import MessageNotFound, MessageNotYours
from dm_svc.store.reads import ReadStore
from dm_svc.usecases.append_and_wait import AppendAndWait
from dm_svc.usecases.await_log import AwaitLog
from mesh.clock import Clock


@dataclass(frozen=True, slots=True)
class UnsendMessage:
    """The place stays, text and photo go, for both members."""

    store: ReadStore
    await_log: AwaitLog
    append: AppendAndWait
    clock: Clock

    async def __call__(self, viewer: UserId, message_id: str) -> Message:
        """Return what remains; again changes nothing."""
        message = await self._get(viewer, message_id)
        if message.sender_id != viewer:
            raise MessageNotYours
        if message.unsend_time is not None:
            return message
        other = rules.other_of(message.conversation_id, viewer)
        assert other is not None  # noqa: S101 - it is a conversation of the viewer
        await self.append(
            LogEntry(
                sequence=0,
                entry_id=rules.unsend_entry_id(message.message_id),
                conversation_id=message.conversation_id,
                actor_id=viewer,
                other_id=other,
                accept_time=self.clock.now(),
                change=MessageTakenBack(message.message_id),
            )
        )
        return await self._get(viewer, message_id)

    async def _get(self, viewer: UserId, message_id: str) -> Message:
        (wanted,) = rules.checked_message_ids([message_id])
        if wanted is None:
            raise MessageNotFound
        await self.await_log.own_sends()
        found = (await self.store.get_messages(viewer, [wanted])).get(wanted)
        if found is None:
            raise MessageNotFound
        return found
