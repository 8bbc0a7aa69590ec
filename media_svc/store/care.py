"""What sweeps, holds and reconciliation ask."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from media_svc.domain import (
    Attachment,
    Place,
    UploadId,
    UploadKind,
)
from media_svc.store.base import Base, PhotoRow, photo_of
from mesh import queries
from mesh.postgres import Connection

_QUERIES = queries.load("media_svc", "sql/care.sql")


@dataclass(frozen=True, slots=True)
class _PlaceRow(PhotoRow):
    create_time: datetime
    store_time: datetime | None
    upload_id: UUID | None


class Care(Base):
    """Looks for what was left behind."""

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


def _place(row: _PlaceRow) -> Place:
    claimed_by = UploadId(row.upload_id) if row.upload_id else None
    return Place(photo_of(row), row.create_time, row.store_time, claimed_by)
