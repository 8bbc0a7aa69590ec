"""Bind a READY photo to the one thing that shows it."""

from dataclasses import dataclass

from media_svc.domain import Photo, Upload, UploadId, UploadKind, UploadStatus, UserId, checked_reference
from media_svc.errors import (
    UploadAlreadyAttached,
    UploadKindMismatch,
    UploadNotFound,
    UploadNotReady,
    UploadRejected,
)
from media_svc.store import Store
from mesh.clock import Clock


@dataclass(frozen=True, slots=True)
class AttachUpload:
    """One conditional update decides, so two callers can never both attach."""

    store: Store
    clock: Clock

    async def __call__(
        self, owner: UserId, upload_id: UploadId, *, purpose: UploadKind, reference: str
    ) -> tuple[Upload, Photo]:
        """Return the photo; again with the same reference: the same photo.

        Raises `UploadNotFound`, `UploadNotReady`, `UploadRejected`, `UploadKindMismatch`, `UploadAlreadyAttached`.
        """
        reference = checked_reference(reference)
        is_attached = await self.store.attach_upload(
            owner, upload_id, kind=purpose, reference=reference, now=self.clock.now()
        )
        upload = await self.store.get_upload(upload_id)
        if upload is None or upload.owner_id != owner or upload.delete_time is not None:
            raise UploadNotFound
        if is_attached and upload.photo is not None:
            return upload, upload.photo
        if upload.status is UploadStatus.REJECTED:
            raise UploadRejected(rejected_reason=upload.rejected_reason.name)
        if upload.kind is not purpose:
            raise UploadKindMismatch
        if upload.reference is not None:
            raise UploadAlreadyAttached
        raise UploadNotReady
