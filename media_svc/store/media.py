"""Media: what uploads became, who claims it, and its removal."""

from dataclasses import asdict
from datetime import datetime

from psycopg.types.json import Jsonb

from media_svc.domain import Photo, Upload, UploadId
from media_svc.store.base import Base, PhotoRow, photo_of
from mesh import queries
from mesh.postgres import Connection

_QUERIES = queries.load("media_svc", "sql/media.sql")


class Media(Base):
    """Pictures and their places; whoever changes one holds the lock of its place."""

    async def lock_media(self, connection: Connection, photo: Photo) -> None:
        """Let one transaction at a time claim, store or remove what stands at the photo's place."""
        await _QUERIES["lock_media"].run(connection, bucket=photo.bucket, key_prefix=photo.key_prefix)

    async def lock_place(self, connection: Connection, bucket: str, key_prefix: str) -> None:
        """Like `lock_media`, of a place without a row."""
        await _QUERIES["lock_media"].run(connection, bucket=bucket, key_prefix=key_prefix)

    async def find_media(self, *, bucket: str, original_sha256: bytes, recipe: int) -> Photo | None:
        """Return the photo that the same original became before."""
        async with self._postgres.primary() as connection:
            row = await _QUERIES["find_media"].one(
                connection, PhotoRow, bucket=bucket, original_sha256=original_sha256, recipe=recipe
            )
        return photo_of(row) if row else None

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
