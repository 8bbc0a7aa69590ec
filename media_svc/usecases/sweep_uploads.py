"""Bring every upload to its end, whatever was lost on the way."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_client import Counter

from media_svc import events
from media_svc.domain import (
    COMPLETE_GRACE,
    PROCESSING_LIFE,
    PURGE_GRACE,
    REQUEUE_AFTER,
    UNATTACHED_LIFE,
    Refusal,
    RejectedReason,
    Upload,
    UploadId,
)
from media_svc.errors import LegalHold, UploadNotFound
from media_svc.store import Store
from media_svc.usecases.abort_upload import GiveUpUpload
from media_svc.usecases.process_upload import ProcessUpload
from media_svc.usecases.purge_media import PurgeMedia
from mesh import outbox
from mesh.clock import Clock
from mesh.outbox import Wakeup
from mesh.telemetry import get_logger

BATCH = 200

_log = get_logger(__name__)
_swept = Counter("media_swept", "Uploads that a sweep brought to their end", ["what"])


@dataclass(frozen=True, slots=True)
class SweepUploads:
    """Safe to run in any number of workers at once: every change is conditional."""

    store: Store
    give_up: GiveUpUpload
    process_upload: ProcessUpload
    purge_media: PurgeMedia
    wakeup: Wakeup
    clock: Clock

    async def __call__(self) -> None:
        """Look once for each kind of upload that was left behind; at most `BATCH` of each."""
        await self._each("abandoned", await self.store.find_abandoned(self._ago(COMPLETE_GRACE), BATCH), self._expire)
        await self._each("stuck", await self.store.find_stuck(self._ago(REQUEUE_AFTER), BATCH), self._requeue)
        await self._each("unattached", await self.store.find_unattached(self._ago(UNATTACHED_LIFE), BATCH), self._drop)
        await self._each("unpurged", await self.store.find_unpurged(self._ago(PURGE_GRACE), BATCH), self._purge)
        await self.wakeup.hint()

    def _ago(self, age: timedelta) -> datetime:
        return self.clock.now() - age

    async def _each(self, what: str, upload_ids: list[UploadId], act: Callable[[Upload], Awaitable[bool]]) -> None:
        for upload_id in upload_ids:
            upload = await self.store.get_upload(upload_id)
            if upload is not None and await act(upload):
                _swept.labels(what).inc()
                _log.info("upload_swept", what=what, upload_id=str(upload_id))

    async def _expire(self, upload: Upload) -> bool:
        return await self.give_up(upload, Refusal(RejectedReason.EXPIRED, "never_completed"))

    async def _requeue(self, upload: Upload) -> bool:
        now = self.clock.now()
        if upload.complete_time is not None and now - upload.complete_time > PROCESSING_LIFE:
            await self.process_upload.reject(upload, Refusal(RejectedReason.PROCESSING_FAILED, "took_too_long"))
            return True
        async with self.store.transaction() as connection:
            queued = await self.store.requeue_upload(
                connection, upload.upload_id, queued_before=now - REQUEUE_AFTER, now=now
            )
            if queued:
                await outbox.add(connection, events.upload_completed(upload, complete_time=upload.complete_time or now))
        return queued

    async def _drop(self, upload: Upload) -> bool:
        now = self.clock.now()
        async with self.store.transaction() as connection:
            dropped = await self.store.delete_unattached(connection, upload.upload_id, now=now)
            if dropped:
                await outbox.add(connection, events.media_deleted(upload.upload_id, delete_time=now))
        return dropped

    async def _purge(self, upload: Upload) -> bool:
        try:
            await self.purge_media(upload.upload_id, reason="deleted")
        except (LegalHold, UploadNotFound):
            return False
        return True
