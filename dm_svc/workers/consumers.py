"""Durable consumers: which events call which use case."""

from dataclasses import dataclass

from dm_svc.domain.values import ConversationId, MessageId, NewMessage, UserId
from dm_svc.events import INBOX
from dm_svc.peers.webhook import WebhookFailed
from dm_svc.usecases.notify_push import NotifyPush
from heliograph.events.v1 import message_events_pb2
from mesh.consumer import Consumer, DeadLetter, Done, Outcome, Retry, pause_after
from mesh.jetstream import JetStream, Received

PUSH = "dm-push"
MAX_DELIVERIES = 12
"""About four minutes of trying."""


@dataclass(frozen=True, slots=True)
class Consumers:
    """The consumers of the service."""

    jetstream: JetStream
    notify_push: NotifyPush

    def push(self) -> Consumer:
        """Return the consumer that tells the push service of deliveries."""
        return Consumer(
            jetstream=self.jetstream,
            stream=INBOX,
            durable=PUSH,
            handle=self._delivered,
            max_deliveries=MAX_DELIVERIES,
        )

    async def _delivered(self, received: Received) -> Outcome:
        event = message_events_pb2.InboxEntriesDelivered.FromString(received.payload)
        messages = [
            NewMessage(
                message_id=MessageId(entry.message_received.message_id),
                conversation_id=ConversationId(entry.conversation_id),
                sender_id=UserId(entry.message_received.sender_id),
                useq=entry.useq,
            )
            for entry in event.entries
            if entry.HasField("message_received")
        ]
        try:
            await self.notify_push(UserId(event.user_id), messages)
        except WebhookFailed as failure:
            if failure.may_retry:
                return Retry(pause_after(received.deliveries))
            return DeadLetter(str(failure))
        return Done()
