"""heliograph.dm.v1.InboxService."""

from dataclasses import dataclass
from typing import Any

from dm_svc.domain import rules
from dm_svc.domain.values import UserId
from dm_svc.usecases.replay_inbox import GetInboxHeads, ReplayInbox, Resync
from dm_svc.wire import Wire
from heliograph.dm.v1 import inbox_service_pb2 as pb
from heliograph.dm.v1 import inbox_service_pb2_grpc
from mesh import auth

Context = Any
MAX_HEADS = 1_000
RESYNC_REASONS = {
    Resync.TOO_OLD: pb.INBOX_RESYNC_REASON_TOO_OLD,
    Resync.BEYOND_HEAD: pb.INBOX_RESYNC_REASON_BEYOND_HEAD,
}


@dataclass(frozen=True, slots=True)
class InboxServicer(inbox_service_pb2_grpc.InboxServiceServicer):
    """The inbox log, for gateways."""

    replay_inbox: ReplayInbox
    get_inbox_heads: GetInboxHeads
    wire: Wire

    async def ReplayInbox(self, request: pb.ReplayInboxRequest, context: Context) -> pb.ReplayInboxResponse:
        """Return entries behind a place."""
        page = await self.replay_inbox(
            UserId(auth.viewer_id()),
            after=request.after_useq if request.HasField("after_useq") else None,
            page_size=request.page_size,
        )
        return pb.ReplayInboxResponse(
            entries=[self.wire.inbox_entry(entry) for entry in page.entries],
            head_useq=page.head_useq,
            is_caught_up=page.is_caught_up,
            resync_reason=RESYNC_REASONS[page.resync] if page.resync else pb.INBOX_RESYNC_REASON_UNSPECIFIED,
        )

    async def GetInboxHeads(self, request: pb.GetInboxHeadsRequest, context: Context) -> pb.GetInboxHeadsResponse:
        """Return where inboxes end."""
        user_ids = [UserId(user_id) for user_id in rules.checked_batch(request.user_ids, limit=MAX_HEADS)]
        heads = await self.get_inbox_heads(user_ids)
        return pb.GetInboxHeadsResponse(
            heads=[pb.InboxHead(user_id=user_id, head_useq=head) for user_id, head in zip(user_ids, heads, strict=True)]
        )
