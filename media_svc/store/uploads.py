"""Uploads from their row to their end, and their parts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from media_svc.domain import (
    DeclaredPart,
    Refusal,
    RejectedReason,
    Upload,
    UploadId,
    UploadKind,
    UploadMethod,
    UploadStatus,
    Usage,
    UserId,
)
from media_svc.store.base import Base, photo_of
from mesh import queries
from mesh.postgres import Connection

_QUERIES = queries.load("media_svc", "sql/uploads.sql")

DAY = timedelta(hours=24)
LONGEST_OPEN = timedelta(days=3)
"""No upload stays PENDING or PROCESSING for longer, so older rows need not be counted."""


@dataclass(frozen=True, slots=True)
class _PartRow:
    part_number: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class _UploadRow:
    upload_id: UUID
    owner_id: int
    kind: int
    method: int
    content_type: str
    size_bytes: int
    status: int
    rejected_reason: int
    rejected_detail: str
    create_time: datetime
    expire_time: datetime
    complete_time: datetime | None
    finish_time: datetime | None
    original_sha256: bytes | None
    bucket: str | None
    key_prefix: str | None
    reference: str | None
    attach_time: datetime | None
    delete_time: datetime | None
    purge_time: datetime | None
    is_held: bool
    multipart_id: str | None
    part_size_bytes: int
    variants: list[dict[str, Any]] | None
    blurhash: str | None
    dominant_colour: str | None
    width: int | None
    height: int | None


class Uploads(Base):
    """What people send."""

    async def lock_owner(self, connection: Connection, owner: UserId) -> None:
        """Let one upload of this person begin at a time."""
        await _QUERIES["lock_owner"].run(connection, owner_id=owner)

    async def lock_upload(self, connection: Connection, upload_id: UploadId) -> Upload | None:
        """Return an upload that nobody else changes until the transaction ends."""
        await _QUERIES["lock_upload"].run(connection, upload_id=upload_id)
        return await self._get(connection, upload_id)

    async def usage(self, connection: Connection, owner: UserId, *, now: datetime) -> Usage:
        """Return what a person has uploaded in the last 24 hours."""
        found = await _QUERIES["usage"].one(
            connection, Usage, owner_id=owner, since=now - DAY, since_open=now - LONGEST_OPEN
        )
        assert found is not None  # noqa: S101 - an aggregate always has a row
        return found

    async def insert_upload(self, connection: Connection, upload: Upload) -> bool:
        """Write a new upload; `False` when its id exists."""
        return bool(
            await _QUERIES["insert_upload"].run(
                connection,
                upload_id=upload.upload_id,
                owner_id=upload.owner_id,
                kind=int(upload.kind),
                method=int(upload.method),
                content_type=upload.content_type,
                size_bytes=upload.size_bytes,
                create_time=upload.create_time,
                expire_time=upload.expire_time,
                multipart_id=upload.multipart_id,
                part_size_bytes=upload.part_size_bytes,
            )
        )

    async def get_upload(self, upload_id: UploadId, *, connection: Connection | None = None) -> Upload | None:
        """Return an upload, whatever became of it."""
        if connection is not None:
            return await self._get(connection, upload_id)
        async with self._postgres.primary() as own:
            return await self._get(own, upload_id)

    async def get_uploads(self, upload_ids: Iterable[UploadId]) -> dict[UploadId, Upload]:
        """Return the uploads that exist, by id."""
        async with self._postgres.primary() as connection:
            rows = await _QUERIES["get_uploads"].all(connection, _UploadRow, upload_ids=list(upload_ids))
        return {UploadId(row.upload_id): _upload(row) for row in rows}

    async def renew_form(self, connection: Connection, upload_id: UploadId, *, expire_time: datetime) -> None:
        """Let bytes be sent until later."""
        await _QUERIES["renew_form"].run(connection, upload_id=upload_id, expire_time=expire_time)

    async def set_multipart(self, upload_id: UploadId, multipart_id: str) -> str:
        """Name the collection of parts of an upload, once; return the name that counts."""
        async with self._postgres.primary() as connection:
            agreed: str = await _QUERIES["set_multipart"].value(
                connection, upload_id=upload_id, multipart_id=multipart_id
            )
        return agreed

    async def declare_parts(self, upload_id: UploadId, parts: Iterable[DeclaredPart]) -> None:
        """Remember the checksums with which parts are signed."""
        async with self._postgres.transaction() as connection:
            await _QUERIES["declare_part"].run_many(
                connection,
                [{"upload_id": upload_id, "part_number": part.number, "sha256": part.sha256} for part in parts],
            )

    async def declared_parts(self, upload_id: UploadId) -> dict[int, bytes]:
        """Return the declared checksums, by part number."""
        async with self._postgres.primary() as connection:
            rows = await _QUERIES["declared_parts"].all(connection, _PartRow, upload_id=upload_id)
        return {row.part_number: row.sha256 for row in rows}

    async def complete_upload(self, connection: Connection, upload_id: UploadId, *, now: datetime) -> bool:
        """PENDING -> PROCESSING; `False` when it had moved on."""
        return bool(await _QUERIES["complete_upload"].run(connection, upload_id=upload_id, complete_time=now))

    async def reject_upload(
        self,
        connection: Connection,
        upload_id: UploadId,
        refusal: Refusal,
        *,
        now: datetime,
        statuses: tuple[UploadStatus, ...] = (UploadStatus.PROCESSING,),
        original_sha256: bytes | None = None,
    ) -> bool:
        """Make it REJECTED; `False` when it was none of `statuses` any more."""
        return bool(
            await _QUERIES["reject_upload"].run(
                connection,
                upload_id=upload_id,
                reason=int(refusal.reason),
                detail=refusal.detail,
                finish_time=now,
                statuses=[int(status) for status in statuses],
                original_sha256=original_sha256,
            )
        )

    async def attach_upload(
        self, owner: UserId, upload_id: UploadId, *, kind: UploadKind, reference: str, now: datetime
    ) -> bool:
        """Bind the owner's READY photo to a reference; `False` when it can't be, see the upload for why."""
        async with self._postgres.primary() as connection:
            touched = await _QUERIES["attach_upload"].run(
                connection,
                owner_id=owner,
                upload_id=upload_id,
                kind=int(kind),
                reference=reference,
                attach_time=now,
            )
        return bool(touched)

    async def delete_upload(self, connection: Connection, upload_id: UploadId, *, now: datetime) -> bool:
        """Mark a photo as deleted; `False` when it was before, or is held."""
        return bool(await _QUERIES["delete_upload"].run(connection, upload_id=upload_id, delete_time=now))

    @staticmethod
    async def _get(connection: Connection, upload_id: UploadId) -> Upload | None:
        row = await _QUERIES["get_uploads"].one(connection, _UploadRow, upload_ids=[upload_id])
        return _upload(row) if row else None


def _upload(row: _UploadRow) -> Upload:
    return Upload(
        upload_id=UploadId(row.upload_id),
        owner_id=UserId(row.owner_id),
        kind=UploadKind(row.kind),
        method=UploadMethod(row.method),
        content_type=row.content_type,
        size_bytes=row.size_bytes,
        status=UploadStatus(row.status),
        rejected_reason=RejectedReason(row.rejected_reason),
        rejected_detail=row.rejected_detail,
        create_time=row.create_time,
        expire_time=row.expire_time,
        complete_time=row.complete_time,
        finish_time=row.finish_time,
        original_sha256=row.original_sha256,
        photo=photo_of(row) if row.variants is not None else None,
        reference=row.reference,
        attach_time=row.attach_time,
        delete_time=row.delete_time,
        purge_time=row.purge_time,
        is_held=row.is_held,
        multipart_id=row.multipart_id,
        part_size_bytes=row.part_size_bytes,
    )
