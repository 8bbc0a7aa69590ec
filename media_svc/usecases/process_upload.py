"""Turn uploaded bytes into a photo, or say why not."""

import asyncio
import hashlib
from dataclasses import dataclass

from prometheus_client import Counter, Histogram

from media_svc.domain import (
    Developed,
    Photo,
    Refusal,
    RejectedReason,
    Upload,
    UploadId,
    UploadMethod,
    UploadStatus,
    key_prefix_of,
)
from media_svc.events import Notices
from media_svc.imaging import recipe
from media_svc.imaging.decoders import Decoders
from media_svc.store import Store
from mesh.clock import Clock
from mesh.errors import HeliographError
from mesh.objectstore import INCOMING, ObjectMissing, ObjectStore
from mesh.telemetry import get_logger

IMMUTABLE = "public, max-age=31536000, immutable"
PRIVATE_CACHING = "private, no-store"

_log = get_logger(__name__)
_finished = Counter("media_uploads_finished", "Uploads by outcome", ["outcome"])
_ready_seconds = Histogram(
    "media_ready_seconds",
    "Time from the owner's completion to READY or REJECTED",
    buckets=(0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12, 30, 60, 300, 3600),
)


@dataclass(frozen=True, slots=True)
class ProcessUpload:
    """Every step may be repeated, by any worker, at any time: only a PROCESSING upload changes, and only once.

    The bytes are read once, so what was checked is what was stored, whatever happens to the original meanwhile. The
    claim on the media's place is committed before its objects are written: nobody who cleans up can take them for
    orphans, and a purge of another upload with the same content can't remove them.
    """

    store: Store
    objects: ObjectStore
    decoders: Decoders
    notices: Notices
    clock: Clock

    async def __call__(self, upload_id: UploadId) -> None:
        """Make the upload READY or REJECTED; anything raised means that it must be tried again."""
        upload = await self.store.get_upload(upload_id)
        if upload is None or upload.status is not UploadStatus.PROCESSING:
            return
        original = await self._original(upload)
        if isinstance(original, Refusal):
            await self.reject(upload, original)
            return
        digest = hashlib.sha256(original).digest()
        known = await self.store.find_media(bucket=upload.bucket, original_sha256=digest, recipe=recipe.VERSION)
        if known is not None and await self._share(upload, known, digest):
            return
        result = await self.decoders.develop(original, declared=upload.content_type, max_bytes=upload.size_bytes)
        if isinstance(result, Refusal):
            await self.reject(upload, result, original_sha256=digest)
            return
        await self._store(upload, result, digest)

    async def reject(self, upload: Upload, refusal: Refusal, *, original_sha256: bytes | None = None) -> None:
        """Make the upload REJECTED, tell its owner, and remove the original."""
        async with self.store.transaction() as connection:
            is_rejected = await self.store.reject_upload(
                connection, upload.upload_id, refusal, now=self.clock.now(), original_sha256=original_sha256
            )
        if is_rejected:
            _log.info("upload_rejected", upload_id=str(upload.upload_id), why=refusal.reason.name, what=refusal.detail)
            await self._finished(upload, refusal.reason.name)

    async def _original(self, upload: Upload) -> bytes | Refusal:
        try:
            stored = await self.objects.stat(INCOMING, upload.incoming_key)
            if stored.size_bytes > upload.size_bytes:
                return Refusal(RejectedReason.TOO_LARGE, "more_than_declared")
            original = await self.objects.get(INCOMING, upload.incoming_key)
        except ObjectMissing:
            return Refusal(RejectedReason.PROCESSING_FAILED, "original_vanished")
        for number, declared in (await self._declared_parts(upload)).items():
            start = (number - 1) * upload.part_size_bytes
            if hashlib.sha256(original[start : start + upload.part_size_bytes]).digest() != declared:
                return Refusal(RejectedReason.CHECKSUM_MISMATCH, f"part_{number}")
        return original

    async def _declared_parts(self, upload: Upload) -> dict[int, bytes]:
        if upload.method is not UploadMethod.RESUMABLE:
            return {}
        return await self.store.declared_parts(upload.upload_id)

    async def _share(self, upload: Upload, photo: Photo, digest: bytes) -> bool:
        """Become READY with the media that the same original became before; `False` when that is being removed."""
        async with self.store.transaction() as connection:
            await self.store.lock_media(connection, photo)
            if not await self.store.is_media_stored(connection, photo):
                return False
            now = self.clock.now()
            is_ready = await self.store.claim_media(
                connection, upload.upload_id, photo, original_sha256=digest
            ) and await self.store.finish_upload(connection, upload.upload_id, photo, now=now)
        if is_ready:
            await self._finished(upload, "READY")
        return True

    async def _store(self, upload: Upload, developed: Developed, digest: bytes) -> None:
        place = key_prefix_of(developed.picture, developed.contents)
        photo = Photo(upload.bucket, place, developed.picture)
        async with self.store.transaction() as connection:
            await self.store.lock_media(connection, photo)
            await self.store.insert_media(
                connection, photo, original_sha256=digest, recipe=recipe.VERSION, now=self.clock.now()
            )
            if not await self.store.claim_media(connection, upload.upload_id, photo, original_sha256=digest):
                return
        async with asyncio.TaskGroup() as group:
            for variant, content in zip(developed.picture.variants, developed.contents, strict=True):
                group.create_task(
                    self.objects.put(
                        photo.bucket,
                        photo.key_prefix + variant.name,
                        content,
                        content_type=variant.format.content_type,
                        cache_control=IMMUTABLE if upload.kind.is_public else PRIVATE_CACHING,
                    )
                )
        async with self.store.transaction() as connection:
            await self.store.lock_media(connection, photo)
            now = self.clock.now()
            is_ready = await self.store.finish_upload(connection, upload.upload_id, photo, now=now)
            if is_ready:
                await self.store.mark_stored(connection, photo, now=now)
        if is_ready:
            await self._finished(upload, "READY")

    async def _finished(self, upload: Upload, outcome: str) -> None:
        _finished.labels(outcome).inc()
        if upload.complete_time is not None:
            _ready_seconds.observe((self.clock.now() - upload.complete_time).total_seconds())
        finished = await self.store.get_upload(upload.upload_id)
        if finished is not None:
            await self.notices.status_changed(finished)
        try:
            await self.objects.remove(INCOMING, [upload.incoming_key])
        except HeliographError as error:  # reconciliation removes it later
            _log.warning("original_not_removed", upload_id=str(upload.upload_id), error=error.reason)
