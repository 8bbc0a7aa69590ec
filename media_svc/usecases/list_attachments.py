"""List what was attached, so that owners find photos that no row of their own shows."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from media_svc.domain import Attachment, UploadId, UploadKind
from media_svc.store import Store
from mesh.clock import EPOCH, Clock


@dataclass(frozen=True, slots=True)
class ListAttachments:
    """Pages by (time of attachment, upload)."""

    store: Store
    clock: Clock

    async def __call__(
        self,
        kind: UploadKind,
        *,
        attached_before: datetime | None,
        after: tuple[datetime, UploadId] | None,
        limit: int,
    ) -> list[Attachment]:
        """Return at most `limit` attachments behind `after`, oldest first; deleted photos are left out."""
        after_time, after_id = after or (EPOCH, UploadId(UUID(int=0)))
        return await self.store.list_attachments(
            kind,
            attached_before=attached_before or self.clock.now(),
            after_time=after_time,
            after_id=after_id,
            limit=limit,
        )
