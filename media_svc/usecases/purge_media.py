"""Remove a photo's objects, for ever."""

from dataclasses import dataclass
from datetime import datetime

from media_svc.domain import Photo, UploadId
from media_svc.errors import LegalHold, UploadNotFound
from media_svc.store import Store
from mesh.clock import Clock
from mesh.objectstore import ObjectStore


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge did."""

    objects_removed: int
    purge_time: datetime


@dataclass(frozen=True, slots=True)
class PurgeMedia:
    """Ends one upload's claim on its media, and removes the media with the last claim.

    The media is marked as incomplete in a transaction of its own before the first object goes: after a crash in between
    nobody takes what is left for a whole photo, and the next purge finishes the work.
    """

    store: Store
    objects: ObjectStore
    clock: Clock

    async def __call__(self, upload_id: UploadId, *, reason: str) -> Purged:
        """Purge, and say what was removed; purging what is purged succeeds.

        Raises `UploadNotFound` when there is no READY upload of that id, and `LegalHold`.
        """
        upload = await self.store.get_upload(upload_id)
        if upload is None or upload.finish_time is None:
            raise UploadNotFound
        if upload.purge_time is not None:
            return Purged(0, upload.purge_time)
        if upload.photo is None:
            raise UploadNotFound
        await self._announce(upload_id, upload.photo)
        return await self._remove(upload_id, upload.photo, reason=reason)

    async def _announce(self, upload_id: UploadId, photo: Photo) -> None:
        async with self.store.transaction() as connection:
            await self.store.lock_media(connection, photo)
            upload = await self.store.lock_upload(connection, upload_id)
            if upload is None:
                raise UploadNotFound
            if upload.is_held:
                raise LegalHold
            if not await self.store.is_shared(connection, upload_id, photo):
                await self.store.unmark_stored(connection, photo)

    async def _remove(self, upload_id: UploadId, photo: Photo, *, reason: str) -> Purged:
        async with self.store.transaction() as connection:
            await self.store.lock_media(connection, photo)
            upload = await self.store.lock_upload(connection, upload_id)
            if upload is None:
                raise UploadNotFound
            if upload.purge_time is not None:
                return Purged(0, upload.purge_time)
            if upload.is_held:
                raise LegalHold
            removed = 0
            if not await self.store.is_shared(connection, upload_id, photo):
                await self.objects.remove(photo.bucket, photo.keys)
                await self.store.delete_media(connection, photo)
                removed = len(photo.keys)
            now = self.clock.now()
            await self.store.purge_upload(connection, upload, photo, reason=reason, objects_removed=removed, now=now)
        return Purged(removed, now)
