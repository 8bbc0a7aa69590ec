"""Tell a push service of messages whose recipients aren't connected."""

from collections.abc import Sequence
from dataclasses import dataclass

from dm_svc.domain.values import NewMessage, UserId
from dm_svc.events import Connections
from dm_svc.peers.webhook import Webhook


@dataclass(frozen=True, slots=True)
class NotifyPush:
    """Says who wrote to whom, and where; what was written stays here, and the app asks for it."""

    connections: Connections
    webhook: Webhook

    async def __call__(self, user_id: UserId, messages: Sequence[NewMessage]) -> None:
        """Call the webhook unless the recipient is connected. `WebhookFailed` says whether a retry can help."""
        from_others = [message for message in messages if message.sender_id != user_id]
        if from_others and not await self.connections.is_connected(user_id):
            await self.webhook.tell(user_id, from_others)
