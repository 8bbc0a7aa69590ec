"""Give a PENDING upload up."""

from dataclasses import dataclass

from media_svc.domain import Refusal, RejectedReason, Upload, UploadId, UploadStatus, UserId
from media_svc.errors import UploadAlreadyComplete, UploadNotFound
from media_svc.events import Notices
from media_svc.store import Store
from mesh.clock import Clock
from mesh.errors import HeliographError
from mesh.multipart import MultipartStore
from mesh.objectstore import INCOMING, ObjectStore
from mesh.telemetry import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class GiveUpUpload:
    """Makes a PENDING upload REJECTED and clears what has arrived of it; shared by owners who abort and the sweep."""

    store: Store
    objects: ObjectStore
    multipart: MultipartStore
    notices: Notices
    clock: Clock

    async def __call__(self, upload: Upload, refusal: Refusal) -> bool:
        """Give it up; `False` when it had moved on."""
        async with self.store.transaction() as connection:
            given_up = await self.store.reject_upload(
                connection,
                upload.upload_id,
                refusal,
                now=self.clock.now(),
                statuses=(UploadStatus.PENDING,),
            )
        if not given_up:
            return False
        try:
            if upload.multipart_id is not None:
                await self.multipart.abort(INCOMING, upload.incoming_key, upload.multipart_id)
            await self.objects.remove(INCOMING, [upload.incoming_key])
        except HeliographError as error:  # reconciliation removes it later
            _log.warning("original_not_removed", upload_id=str(upload.upload_id), error=error.reason)
        rejected = await self.store.get_upload(upload.upload_id)
        if rejected is not None:
            await self.notices.status_changed(rejected)
        return True


@dataclass(frozen=True, slots=True)
class AbortUpload:
    """Only what is still awaited can be aborted; again: the same answer."""

    store: Store
    give_up: GiveUpUpload

    async def __call__(self, owner: UserId, upload_id: UploadId) -> Upload:
        """Return the upload, REJECTED; `UploadNotFound`, `UploadAlreadyComplete`."""
        upload = await self.store.get_upload(upload_id)
        if upload is None or upload.owner_id != owner or upload.delete_time is not None:
            raise UploadNotFound
        if upload.status is UploadStatus.PENDING:
            await self.give_up(upload, Refusal(RejectedReason.ABORTED, "given_up_by_owner"))
            upload = await self.store.get_upload(upload_id) or upload
        if upload.rejected_reason is not RejectedReason.ABORTED:
            raise UploadAlreadyComplete
        return upload
