"""Keep a photo, whatever happens, until somebody lifts it."""

from dataclasses import dataclass
from datetime import datetime

from media_svc.domain import UploadId, UploadStatus, checked_hold_reason
from media_svc.errors import UploadNotFound
from media_svc.store import Store
from mesh.clock import Clock


@dataclass(frozen=True, slots=True)
class SetLegalHold:
    """Every change is recorded with its reason."""

    store: Store
    clock: Clock

    async def __call__(self, upload_id: UploadId, *, is_held: bool, reason: str) -> datetime:
        """Hold the photo or lift the hold; return when the flag last changed. Repeating changes nothing.

        Raises `UploadNotFound` when there is no photo to keep, and `LegalHoldReasonRequired`.
        """
        reason = checked_hold_reason(reason)
        async with self.store.transaction() as connection:
            upload = await self.store.lock_upload(connection, upload_id)
            if upload is None or upload.status is not UploadStatus.READY or upload.purge_time is not None:
                raise UploadNotFound
            if upload.is_held != is_held:
                now = self.clock.now()
                await self.store.set_held(connection, upload_id, is_held=is_held, reason=reason, now=now)
                return now
            return await self.store.last_legal_hold(connection, upload_id) or upload.create_time
