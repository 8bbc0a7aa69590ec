"""Uploads in parts, which survive broken connections: begin, sign parts, list what has arrived."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from media_svc.domain import (
    MAX_RESUMABLE_BYTES,
    PART_BYTES,
    PART_LIFE,
    RESUMABLE_LIFE,
    ArrivedPart,
    DeclaredPart,
    Upload,
    UploadId,
    UploadKind,
    UploadMethod,
    UploadStatus,
    UserId,
    check_upload,
    new_upload,
    upload_id_for,
)
from media_svc.errors import (
    PartInvalid,
    UploadAlreadyComplete,
    UploadExpired,
    UploadNotFound,
    UploadNotResumable,
)
from media_svc.store import Store
from media_svc.usecases.create_upload import OpenUpload
from mesh.clock import Clock
from mesh.multipart import MultipartMissing, MultipartStore, SignedPut
from mesh.objectstore import INCOMING


@dataclass(frozen=True, slots=True)
class CreateResumableUpload:
    """The row comes first, then the store's collection of parts, whose name is written once: two calls side by side
    end with one collection.
    """

    open_upload: OpenUpload
    store: Store
    multipart: MultipartStore
    clock: Clock

    async def __call__(
        self, owner: UserId, *, kind: UploadKind, content_type: str, size_bytes: int, request_id: str
    ) -> Upload:
        """Return the upload, new or from the first call with this request id."""
        check_upload(
            content_type=content_type, size_bytes=size_bytes, max_bytes=MAX_RESUMABLE_BYTES, request_id=request_id
        )
        now = self.clock.now()
        wanted = new_upload(
            upload_id=upload_id_for(owner, request_id),
            owner_id=owner,
            kind=kind,
            method=UploadMethod.RESUMABLE,
            content_type=content_type,
            size_bytes=size_bytes,
            create_time=now,
            expire_time=now + RESUMABLE_LIFE,
            part_size_bytes=PART_BYTES,
        )
        upload = await self.open_upload(wanted, now=now)
        if upload.multipart_id is not None or upload.status is not UploadStatus.PENDING:
            return upload
        return await self._begin(upload)

    async def _begin(self, upload: Upload) -> Upload:
        ours = await self.multipart.begin(INCOMING, upload.incoming_key, content_type=upload.content_type)
        agreed = await self.store.set_multipart(upload.upload_id, ours)
        if agreed != ours:
            await self.multipart.abort(INCOMING, upload.incoming_key, ours)
        return replace(upload, multipart_id=agreed)


@dataclass(frozen=True, slots=True)
class SignUploadParts:
    """An address binds number, size and checksum of its part."""

    store: Store
    multipart: MultipartStore
    clock: Clock

    async def __call__(
        self, owner: UserId, upload_id: UploadId, parts: Sequence[DeclaredPart]
    ) -> tuple[list[SignedPut], datetime]:
        """Return where to put the parts, in their order, and until when.

        Raises `UploadNotFound`, `UploadNotResumable`, `UploadAlreadyComplete`, `UploadExpired`, `PartInvalid`.
        """
        upload = await owned_resumable(self.store, owner, upload_id)
        now = self.clock.now()
        if upload.status is not UploadStatus.PENDING or upload.multipart_id is None:
            raise UploadAlreadyComplete
        if now >= upload.expire_time:
            raise UploadExpired
        for part in parts:
            if not 1 <= part.number <= upload.part_count or len(part.sha256) != 32:
                raise PartInvalid(part=part.number, limit=upload.part_count)
        await self.store.declare_parts(upload_id, parts)
        lifetime = min(PART_LIFE, upload.expire_time - now)
        signed = [
            self.multipart.sign_part(
                INCOMING,
                upload.incoming_key,
                upload.multipart_id,
                number=part.number,
                size_bytes=upload.part_bytes(part.number),
                sha256=part.sha256,
                now=now,
                lifetime=lifetime,
            )
            for part in parts
        ]
        return signed, now + lifetime


@dataclass(frozen=True, slots=True)
class ListUploadParts:
    """What a client asks after its connection broke."""

    store: Store
    multipart: MultipartStore

    async def __call__(self, owner: UserId, upload_id: UploadId) -> list[ArrivedPart]:
        """Return the parts that have arrived, by number; none once the upload is complete.

        Raises `UploadNotFound` and `UploadNotResumable`.
        """
        upload = await owned_resumable(self.store, owner, upload_id)
        if upload.multipart_id is None:
            return []
        try:
            arrived = await self.multipart.parts(INCOMING, upload.incoming_key, upload.multipart_id)
        except MultipartMissing:
            return []
        declared = await self.store.declared_parts(upload_id)
        return [
            ArrivedPart(part.number, part.size_bytes, part.etag, declared.get(part.number, b"")) for part in arrived
        ]


async def owned_resumable(store: Store, owner: UserId, upload_id: UploadId) -> Upload:
    """Return the owner's resumable upload; `UploadNotFound`, `UploadNotResumable`."""
    upload = await store.get_upload(upload_id)
    if upload is None or upload.owner_id != owner or upload.delete_time is not None:
        raise UploadNotFound
    if upload.method is not UploadMethod.RESUMABLE:
        raise UploadNotResumable
    return upload
