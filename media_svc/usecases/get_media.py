"""Look finished photos up, for the services that show them."""

from collections.abc import Iterable
from dataclasses import dataclass

from media_svc.domain import Photo, Upload, UploadId, UploadStatus
from media_svc.store import Store


@dataclass(frozen=True, slots=True)
class GetMedia:
    """Only what may be shown: READY and not deleted."""

    store: Store

    async def __call__(self, upload_ids: Iterable[UploadId]) -> dict[UploadId, tuple[Upload, Photo]]:
        """Return the photos that exist, by upload."""
        uploads = await self.store.get_uploads(upload_ids)
        return {
            upload_id: (upload, upload.photo)
            for upload_id, upload in uploads.items()
            if upload.status is UploadStatus.READY and upload.delete_time is None and upload.photo is not None
        }
