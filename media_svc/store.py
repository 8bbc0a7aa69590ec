"""Postgres, the truth: one method per named query or per group that belongs in one transaction.

Methods that take a connection run inside the caller's transaction; the others borrow a connection of their own.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from media_svc.domain import (
    Attachment,
    DeclaredPart,
    ImageFormat,
    Photo,
    Picture,
    Place,
    Refusal,
    RejectedReason,
    Upload,
    UploadId,
    UploadKind,
    UploadMethod,
    UploadStatus,
    Usage,
    UserId,
    Variant,
)
from mesh import queries
from mesh.postgres import Connection, Postgres

_QUERIES = queries.load(__package__)

DAY = timedelta(hours=24)
LONGEST_OPEN = timedelta(days=3)
"""No upload stays PENDING or PROCESSING for longer, so older rows need not be counted."""


@dataclass(frozen=True, slots=True)
class _PartRow:
    part_number: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class _MediaRow:
    bucket: str
    key_prefix: str
    variants: list[dict[str, Any]]
    blurhash: str
    dominant_colour: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class _PlaceRow:
    bucket: str
    key_prefix: str
    variants: list[dict[str, Any]]
    blurhash: str
    dominant_colour: str
    width: int
    height: int
    create_time: datetime
    store_time: datetime | None
    upload_id: UUID | None


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


class Store:
    """The service's database."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """Open the one transaction of a write."""
        return self._postgres.transaction()

    async def lock_owner(self, connection: Connection, owner: UserId) -> None:
        """Let one upload of this person begin at a time."""
        await _QUERIES["lock_owner"].run(connection, owner_id=owner)

    async def lock_media(self, connection: Connection, photo: Photo) -> None:
        """Let one transaction at a time claim, store or remove what stands at the photo's place."""
        await _QUERIES["lock_media"].run(connection, bucket=photo.bucket, key_prefix=photo.key_prefix)

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

    async def find_media(self, *, bucket: str, original_sha256: bytes, recipe: int) -> Photo | None:
        """Return the photo that the same original became before."""
        async with self._postgres.primary() as connection:
            row = await _QUERIES["find_media"].one(
                connection, _MediaRow, bucket=bucket, original_sha256=original_sha256, recipe=recipe
            )
        return _photo(row) if row else None

    async def is_media_stored(self, connection: Connection, photo: Photo) -> bool:
        """Whether all of its objects stand in the store."""
        return bool(
            await _QUERIES["is_media_stored"].value(connection, bucket=photo.bucket, key_prefix=photo.key_prefix)
        )

    async def insert_media(
        self, connection: Connection, photo: Photo, *, original_sha256: bytes, recipe: int, now: datetime
    ) -> None:
        """Write the row of a picture, unless there is one."""
        picture = photo.picture
        await _QUERIES["insert_media"].run(
            connection,
            bucket=photo.bucket,
            key_prefix=photo.key_prefix,
            original_sha256=original_sha256,
            recipe=recipe,
            variants=Jsonb([asdict(variant) for variant in picture.variants]),
            blurhash=picture.blurhash,
            dominant_colour=picture.dominant_colour,
            width=picture.width,
            height=picture.height,
            create_time=now,
        )

    async def claim_media(
        self, connection: Connection, upload_id: UploadId, photo: Photo, *, original_sha256: bytes
    ) -> bool:
        """Point a PROCESSING upload to its media's place; `False` when it had moved on."""
        return bool(
            await _QUERIES["claim_media"].run(
                connection,
                upload_id=upload_id,
                bucket=photo.bucket,
                key_prefix=photo.key_prefix,
                original_sha256=original_sha256,
            )
        )

    async def mark_stored(self, connection: Connection, photo: Photo, *, now: datetime) -> None:
        """Record that all objects stand in the store."""
        await _QUERIES["mark_stored"].run(connection, bucket=photo.bucket, key_prefix=photo.key_prefix, store_time=now)

    async def finish_upload(self, connection: Connection, upload_id: UploadId, photo: Photo, *, now: datetime) -> bool:
        """PROCESSING -> READY; `False` when it had moved on, or claims another place."""
        return bool(
            await _QUERIES["finish_upload"].run(
                connection, upload_id=upload_id, bucket=photo.bucket, key_prefix=photo.key_prefix, finish_time=now
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

    async def is_shared(self, connection: Connection, upload_id: UploadId, photo: Photo) -> bool:
        """Whether another upload points to the same media."""
        return bool(
            await _QUERIES["other_claims"].value(
                connection, upload_id=upload_id, bucket=photo.bucket, key_prefix=photo.key_prefix
            )
        )

    async def unmark_stored(self, connection: Connection, photo: Photo) -> None:
        """Let nobody take the media for complete any more."""
        await _QUERIES["unmark_stored"].run(connection, bucket=photo.bucket, key_prefix=photo.key_prefix)

    async def delete_media(self, connection: Connection, photo: Photo) -> None:
        """Forget media whose objects are gone."""
        await _QUERIES["delete_media"].run(connection, bucket=photo.bucket, key_prefix=photo.key_prefix)

    async def purge_upload(
        self, connection: Connection, upload: Upload, photo: Photo, *, reason: str, objects_removed: int, now: datetime
    ) -> bool:
        """End an upload's claim on its media and record it; `False` when that was done before."""
        if not await _QUERIES["purge_upload"].run(connection, upload_id=upload.upload_id, purge_time=now):
            return False
        await _QUERIES["insert_deletion"].run(
            connection,
            upload_id=upload.upload_id,
            owner_id=upload.owner_id,
            bucket=photo.bucket,
            key_prefix=photo.key_prefix,
            reason=reason,
            objects_removed=objects_removed,
            purge_time=now,
        )
        return True

    async def find_abandoned(self, expired_before: datetime, limit: int) -> list[UploadId]:
        """Return PENDING uploads whose permission ended before that, oldest first."""
        return await self._find("find_abandoned", expired_before=expired_before, limit=limit)

    async def find_stuck(self, queued_before: datetime, limit: int) -> list[UploadId]:
        """Return PROCESSING uploads that were queued before that, oldest first."""
        return await self._find("find_stuck", queued_before=queued_before, limit=limit)

    async def find_unattached(self, finished_before: datetime, limit: int) -> list[UploadId]:
        """Return READY photos that nothing shows since then, oldest first."""
        return await self._find("find_unattached", finished_before=finished_before, limit=limit)

    async def find_unpurged(self, deleted_before: datetime, limit: int) -> list[UploadId]:
        """Return photos that were deleted before that and are not purged, oldest first."""
        return await self._find("find_unpurged", deleted_before=deleted_before, limit=limit)

    async def requeue_upload(
        self, connection: Connection, upload_id: UploadId, *, queued_before: datetime, now: datetime
    ) -> bool:
        """Note that a PROCESSING upload is queued again; `False` when it moved on."""
        return bool(
            await _QUERIES["requeue_upload"].run(
                connection, upload_id=upload_id, queued_before=queued_before, queue_time=now
            )
        )

    async def delete_unattached(self, connection: Connection, upload_id: UploadId, *, now: datetime) -> bool:
        """Mark a READY photo as deleted that nothing shows; `False` when something does now."""
        return bool(await _QUERIES["delete_unattached"].run(connection, upload_id=upload_id, delete_time=now))

    async def set_held(
        self, connection: Connection, upload_id: UploadId, *, is_held: bool, reason: str, now: datetime
    ) -> None:
        """Change the flag and record why."""
        await _QUERIES["set_held"].run(connection, upload_id=upload_id, is_held=is_held)
        await _QUERIES["insert_legal_hold"].run(
            connection, upload_id=upload_id, is_held=is_held, reason=reason, change_time=now
        )

    async def last_legal_hold(self, connection: Connection, upload_id: UploadId) -> datetime | None:
        """Return when the flag last changed."""
        changed: datetime | None = await _QUERIES["last_legal_hold"].value(connection, upload_id=upload_id)
        return changed

    async def list_attachments(
        self, kind: UploadKind, *, attached_before: datetime, after_time: datetime, after_id: UploadId, limit: int
    ) -> list[Attachment]:
        """Return attachments of a kind, oldest first, behind a position."""
        async with self._postgres.read() as connection:
            return await _QUERIES["list_attachments"].all(
                connection,
                Attachment,
                kind=int(kind),
                attached_before=attached_before,
                after_time=after_time,
                after_id=after_id,
                limit=limit,
            )

    async def lock_place(self, connection: Connection, bucket: str, key_prefix: str) -> None:
        """Like `lock_media`, of a place without a row."""
        await _QUERIES["lock_media"].run(connection, bucket=bucket, key_prefix=key_prefix)

    async def media_between(self, bucket: str, *, after: str, up_to: str | None, limit: int) -> list[Place]:
        """Return the media of a bucket behind `after`, up to and with `up_to`, in the order of keys."""
        async with self._postgres.primary() as connection:
            rows = await _QUERIES["media_between"].all(
                connection, _PlaceRow, bucket=bucket, after=after, up_to=up_to, limit=limit
            )
        return [_place(row) for row in rows]

    async def media_at(self, connection: Connection, bucket: str, key_prefix: str) -> Place | None:
        """Return the media of one place."""
        row = await _QUERIES["media_at"].one(connection, _PlaceRow, bucket=bucket, key_prefix=key_prefix)
        return _place(row) if row else None

    async def deleted_places(self, bucket: str, key_prefixes: Iterable[str]) -> set[str]:
        """Return which of the places held media that was removed."""
        async with self._postgres.primary() as connection:
            found = await _QUERIES["deleted_places"].values(connection, bucket=bucket, key_prefixes=list(key_prefixes))
        return set(found)

    @asynccontextmanager
    async def sole_reconciliation(self) -> AsyncIterator[bool]:
        """Hold the right to reconcile until the end of the context; yields `False` when another worker has it."""
        async with self._postgres.primary() as connection:
            is_ours = bool(await _QUERIES["try_lock_reconciliation"].value(connection))
            try:
                yield is_ours
            finally:
                if is_ours:
                    await _QUERIES["unlock_reconciliation"].run(connection)

    async def _find(self, query: str, **parameters: object) -> list[UploadId]:
        async with self._postgres.primary() as connection:
            return await _QUERIES[query].values(connection, **parameters)

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
        photo=_photo(row) if row.variants is not None else None,
        reference=row.reference,
        attach_time=row.attach_time,
        delete_time=row.delete_time,
        purge_time=row.purge_time,
        is_held=row.is_held,
        multipart_id=row.multipart_id,
        part_size_bytes=row.part_size_bytes,
    )


def _place(row: _PlaceRow) -> Place:
    claimed_by = UploadId(row.upload_id) if row.upload_id else None
    return Place(_photo(row), row.create_time, row.store_time, claimed_by)


def _photo(row: Any) -> Photo:
    variants = tuple(Variant(**{**one, "format": ImageFormat(one["format"])}) for one in row.variants)
    picture = Picture(variants, row.blurhash, row.dominant_colour, row.width, row.height)
    return Photo(row.bucket, row.key_prefix, picture)
