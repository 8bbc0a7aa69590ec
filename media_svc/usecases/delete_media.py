"""Mark a photo as deleted, for the service that showed it."""

from dataclasses import dataclass
from datetime import datetime

from media_svc import events
from media_svc.domain import UploadId
from media_svc.errors import LegalHold, UploadNotFound, UploadReferenceMismatch
from media_svc.store import Store
from mesh import outbox
from mesh.clock import Clock
from mesh.outbox import Wakeup


@dataclass(frozen=True, slots=True)
class DeleteMedia:
    """Gone for every reader at once; the objects follow by way of the work queue."""

    store: Store
    wakeup: Wakeup
    clock: Clock

    async def __call__(self, upload_id: UploadId, *, reference: str) -> datetime:
        """Return when it was deleted, by this call or the first one.

        Raises `UploadNotFound`, `UploadReferenceMismatch`, `LegalHold`.
        """
        async with self.store.transaction() as connection:
            upload = await self.store.lock_upload(connection, upload_id)
            if upload is None or upload.reference is None:
                raise UploadNotFound
            if upload.reference != reference:
                raise UploadReferenceMismatch
            if upload.delete_time is not None:
                return upload.delete_time
            if upload.is_held:
                raise LegalHold
            now = self.clock.now()
            await self.store.delete_upload(connection, upload_id, now=now)
            await outbox.add(connection, events.media_deleted(upload_id, delete_time=now))
        await self.wakeup.hint()
        return now
