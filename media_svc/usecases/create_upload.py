"""Permit one upload by a signed form."""

from dataclasses import dataclass
from datetime import datetime

from media_svc.domain import (
    FORM_LIFE,
    MAX_FORM_BYTES,
    RENEWABLE_LIFE,
    Quota,
    Upload,
    UploadKind,
    UploadMethod,
    UploadStatus,
    UserId,
    check_upload,
    new_upload,
    upload_id_for,
)
from media_svc.errors import IdempotencyKeyReused
from media_svc.store import Store
from mesh.clock import Clock
from mesh.objectstore import INCOMING, Form, ObjectStore


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """Writes the row of a new upload, within the owner's quota; shared by both ways to upload."""

    store: Store
    quota: Quota

    async def __call__(self, wanted: Upload, *, now: datetime) -> Upload:
        """Return the upload, new or from the first call with its request id.

        Raises `UploadQuotaExceeded`, and `IdempotencyKeyReused` when the first call wanted something else.
        """
        async with self.store.transaction() as connection:
            await self.store.lock_owner(connection, wanted.owner_id)
            upload = await self.store.get_upload(wanted.upload_id, connection=connection)
            if upload is None:
                self.quota.check(await self.store.usage(connection, wanted.owner_id, now=now), wanted, now=now)
                await self.store.insert_upload(connection, wanted)
                return wanted
            if not upload.is_same_wish(wanted):
                raise IdempotencyKeyReused
            if upload.status is UploadStatus.PENDING and upload.method is UploadMethod.FORM:
                expire_time = min(wanted.expire_time, upload.create_time + RENEWABLE_LIFE)
                await self.store.renew_form(connection, upload.upload_id, expire_time=expire_time)
                found = await self.store.get_upload(upload.upload_id, connection=connection)
                return found or upload
            return upload


@dataclass(frozen=True, slots=True)
class CreateUpload:
    """The form binds key, type and size: what it stores can only be what was permitted here."""

    open_upload: OpenUpload
    objects: ObjectStore
    clock: Clock

    async def __call__(
        self, owner: UserId, *, kind: UploadKind, content_type: str, size_bytes: int, request_id: str
    ) -> tuple[Upload, Form | None]:
        """Return the upload and its form, signed anew at each call; no form when no bytes are awaited any more."""
        check_upload(content_type=content_type, size_bytes=size_bytes, max_bytes=MAX_FORM_BYTES, request_id=request_id)
        now = self.clock.now()
        wanted = new_upload(
            upload_id=upload_id_for(owner, request_id),
            owner_id=owner,
            kind=kind,
            method=UploadMethod.FORM,
            content_type=content_type,
            size_bytes=size_bytes,
            create_time=now,
            expire_time=now + FORM_LIFE,
        )
        upload = await self.open_upload(wanted, now=now)
        is_awaited = upload.status is UploadStatus.PENDING and upload.expire_time > now
        return upload, self._form(upload) if is_awaited else None

    def _form(self, upload: Upload) -> Form:
        return self.objects.presigned_form(
            INCOMING,
            upload.incoming_key,
            content_type=upload.content_type,
            max_bytes=upload.size_bytes,
            expires_at=upload.expire_time,
        )
