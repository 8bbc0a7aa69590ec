"""Take the owner's word that the bytes are in place, and queue them for processing."""

from dataclasses import dataclass

from media_svc import events
from media_svc.domain import Upload, UploadId, UploadStatus, UserId
from media_svc.errors import (
    UploadBytesMissing,
    UploadChecksumMismatch,
    UploadExpired,
    UploadNotFound,
    UploadPartsMissing,
)
from media_svc.events import Notices
from media_svc.store import Store
from mesh import outbox
from mesh.clock import Clock
from mesh.multipart import MultipartMissing, MultipartStore
from mesh.objectstore import INCOMING, ObjectMissing, ObjectStore
from mesh.outbox import Wakeup

NAMED_PARTS = 10
"""How many missing parts an error names."""


@dataclass(frozen=True, slots=True)
class CompleteUpload:
    """The change of status and the event have one commit, so nothing that was completed is forgotten."""

    store: Store
    objects: ObjectStore
    multipart: MultipartStore
    notices: Notices
    wakeup: Wakeup
    clock: Clock

    async def __call__(self, owner: UserId, upload_id: UploadId) -> Upload:
        """Return the upload, PROCESSING or further; calling again changes nothing.

        Raises `UploadNotFound`, `UploadExpired`; `UploadBytesMissing` when nothing was stored; `UploadPartsMissing` and
        `UploadChecksumMismatch` when parts are to be sent, or sent again.
        """
        upload = await self.store.get_upload(upload_id)
        if upload is None or upload.owner_id != owner or upload.delete_time is not None:
            raise UploadNotFound
        if upload.status is not UploadStatus.PENDING:
            return upload
        now = self.clock.now()
        if now > upload.give_up_time:
            raise UploadExpired
        await self._require_bytes(upload)
        async with self.store.transaction() as connection:
            if await self.store.complete_upload(connection, upload_id, now=now):
                await outbox.add(connection, events.upload_completed(upload, complete_time=now))
        await self.wakeup.hint()
        completed = await self.store.get_upload(upload_id)
        if completed is None:
            raise UploadNotFound
        await self.notices.status_changed(completed)
        return completed

    async def _require_bytes(self, upload: Upload) -> None:
        if upload.multipart_id is not None:
            await self._join_parts(upload, upload.multipart_id)
        try:
            await self.objects.stat(INCOMING, upload.incoming_key)
        except ObjectMissing as error:
            raise UploadBytesMissing from error

    async def _join_parts(self, upload: Upload, multipart_id: str) -> None:
        try:
            parts = await self.multipart.parts(INCOMING, upload.incoming_key, multipart_id)
            arrived = {part.number: part for part in parts}
            missing = [number for number in range(1, upload.part_count + 1) if number not in arrived]
            if missing:
                raise UploadPartsMissing(missing=",".join(map(str, missing[:NAMED_PARTS])))
            for number, part in arrived.items():
                if part.size_bytes != upload.part_bytes(number):
                    raise UploadChecksumMismatch(part=number)
            await self.multipart.complete(INCOMING, upload.incoming_key, multipart_id, parts)
        except MultipartMissing:
            return  # an earlier call joined them and was cut off: the object tells
