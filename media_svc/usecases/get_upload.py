"""Read an upload as its owner."""

from dataclasses import dataclass

from media_svc.domain import Upload, UploadId, UserId
from media_svc.errors import UploadNotFound
from media_svc.store import Store


@dataclass(frozen=True, slots=True)
class GetUpload:
    """Absent, deleted and somebody else's look the same."""

    store: Store

    async def __call__(self, owner: UserId, upload_id: UploadId) -> Upload:
        """Return the upload; `UploadNotFound` when it isn't the owner's."""
        upload = await self.store.get_upload(upload_id)
        if upload is None or upload.owner_id != owner or upload.delete_time is not None:
            raise UploadNotFound
        return upload
