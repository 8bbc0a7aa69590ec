"""Compare rows with objects, both ways.

Objects and rows are read in the order of keys and merged, a page at a time, so one listing of a bucket answers both
questions: objects that no row knows, and rows whose objects are gone. What looks wrong in the page is asked again,
singly and under the lock of its place, before it is called a finding: the page may be a second old.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import IntEnum
from itertools import groupby

from media_svc.domain import (
    ORPHAN_GRACE,
    PHOTOS,
    PRIVATE,
    Finding,
    FindingKind,
    Photo,
    Place,
    Refusal,
    RejectedReason,
    Upload,
    UploadStatus,
    possible_upload_id,
)
from media_svc.store import Store
from media_svc.usecases.abort_upload import GiveUpUpload
from mesh.clock import Clock
from mesh.multipart import MultipartStore, OpenMultipart
from mesh.objectstore import INCOMING, ObjectMissing, ObjectStore, StoredObject

LEFTOVER_GRACE = timedelta(hours=1)
"""How old the original of a finished upload must be before it is removed."""
UNFINISHED_GRACE = timedelta(hours=26)
"""How old a collection of parts must be: older than any upload can be PENDING."""
INCOMING_PREFIX = "incoming/"
OBJECTS_PER_PHOTO = 8


class Stage(IntEnum):
    """The parts of a run, in order."""

    PHOTOS = 0
    PRIVATE = 1
    INCOMING = 2
    PARTS = 3
    END = 4


@dataclass(frozen=True, slots=True)
class Position:
    """Where a run goes on: a stage, and the last key that was looked at."""

    stage: Stage
    after: str


START = Position(Stage.PHOTOS, "")


@dataclass(frozen=True, slots=True)
class Page:
    """What one step of a run found; `next` is `None` at the end of the run."""

    object_count: int
    row_count: int
    findings: list[Finding]
    next: Position | None


@dataclass(frozen=True, slots=True)
class ReconcileMedia:
    """One step of a run; a whole run is the sum of its pages."""

    store: Store
    objects: ObjectStore
    multipart: MultipartStore
    give_up: GiveUpUpload
    clock: Clock

    async def __call__(self, position: Position, *, limit: int, repair: bool) -> Page:
        """Look at about `limit` objects and their rows; with `repair` remove what may be removed."""
        match position.stage:
            case Stage.PHOTOS:
                return await self._bucket(PHOTOS, position, limit=limit, repair=repair)
            case Stage.PRIVATE:
                return await self._bucket(PRIVATE, position, limit=limit, repair=repair)
            case Stage.INCOMING:
                return await self._incoming(position, limit=limit, repair=repair)
            case _:
                return await self._parts(limit=limit, repair=repair)

    async def run(self, *, repair: bool, limit: int = 1000) -> AsyncIterator[Page]:
        """Yield every page of a whole run."""
        position: Position | None = START
        while position is not None:
            page = await self(position, limit=limit, repair=repair)
            yield page
            position = page.next

    async def _bucket(self, bucket: str, position: Position, *, limit: int, repair: bool) -> Page:
        # Two photos at least, so that a page that ends inside of one has looked at another whole one.
        wanted = max(limit, 2 * OBJECTS_PER_PHOTO)
        found = await self.objects.list(bucket, after=position.after, limit=wanted)
        by_place = {place: list(them) for place, them in groupby(found, key=lambda one: _place_of(one.key))}
        up_to = None
        if len(found) == wanted:
            if len(by_place) > 1:
                by_place.popitem()  # it may go on in the next page
            up_to = next(reversed(by_place))
        places = await self.store.media_between(bucket, after=_place_of(position.after), up_to=up_to, limit=wanted)
        if len(places) == wanted:  # many rows without any object
            up_to = places[-1].photo.key_prefix
            by_place = {place: them for place, them in by_place.items() if place <= up_to}
        findings: list[Finding] = []
        known = {place.photo.key_prefix: place for place in places}
        strange = [
            one
            for key_prefix, them in by_place.items()
            for one in them
            if key_prefix not in known or one.key not in known[key_prefix].photo.keys
        ]
        findings += await self._objects_without_row(bucket, strange, repair=repair)
        for place in places:
            present = {one.key for one in by_place.get(place.photo.key_prefix, ())}
            findings += await self._judge(place, present, repair=repair)
        more = Position(Stage(position.stage + 1), "") if up_to is None else Position(position.stage, _end_of(up_to))
        looked_at = sum(len(them) for them in by_place.values())
        return Page(looked_at, len(places), findings, more)

    async def _objects_without_row(self, bucket: str, strange: list[StoredObject], *, repair: bool) -> list[Finding]:
        deleted = await self.store.deleted_places(bucket, {_place_of(one.key) for one in strange})
        findings = []
        for one in strange:
            is_deleted = _place_of(one.key) in deleted
            if not is_deleted and self.clock.now() - one.modified_time < ORPHAN_GRACE:
                continue
            kind = FindingKind.DELETED_BUT_PRESENT if is_deleted else FindingKind.OBJECT_WITHOUT_ROW
            finding = Finding(kind, bucket, one.key, None, one.size_bytes, one.modified_time, is_repaired=False)
            checked = await self._remove_object(finding, repair=repair)
            findings += [checked] if checked else []
        return findings

    async def _remove_object(self, finding: Finding, *, repair: bool) -> Finding | None:
        """Ask again under the lock; remove if wanted; `None` when it is in order after all."""
        key_prefix = _place_of(finding.key)
        async with self.store.transaction() as connection:
            await self.store.lock_place(connection, finding.bucket, key_prefix)
            place = await self.store.media_at(connection, finding.bucket, key_prefix)
            if place is not None and finding.key in place.photo.keys:
                return None
            try:  # a purge may have been under way while the page was read
                await self.objects.stat(finding.bucket, finding.key)
            except ObjectMissing:
                return None
            if repair:
                await self.objects.remove(finding.bucket, [finding.key])
        return replace(finding, is_repaired=repair)

    async def _judge(self, place: Place, present: set[str], *, repair: bool) -> list[Finding]:
        """Look at one row: media that nobody claims, or whose objects are gone."""
        if place.claimed_by is None:
            if self.clock.now() - place.create_time < ORPHAN_GRACE:
                return []
            return await self._remove_unclaimed(place.photo, present, repair=repair)
        if place.store_time is None:
            return []  # being written or removed right now
        missing = [key for key in place.photo.keys if key not in present]
        return [finding for key in missing if (finding := await self._missing(place, key)) is not None]

    async def _missing(self, place: Place, key: str) -> Finding | None:
        try:
            await self.objects.stat(place.photo.bucket, key)
        except ObjectMissing:
            async with self.store.transaction() as connection:
                now = await self.store.media_at(connection, place.photo.bucket, place.photo.key_prefix)
            if now is None or now.store_time is None or now.claimed_by is None:
                return None
            return Finding(
                FindingKind.ROW_WITHOUT_OBJECT,
                place.photo.bucket,
                key,
                now.claimed_by,
                0,
                now.store_time,
                is_repaired=False,
            )
        return None

    async def _remove_unclaimed(self, photo: Photo, present: set[str], *, repair: bool) -> list[Finding]:
        async with self.store.transaction() as connection:
            await self.store.lock_media(connection, photo)
            place = await self.store.media_at(connection, photo.bucket, photo.key_prefix)
            if place is None or place.claimed_by is not None:
                return []
            if repair:
                await self.objects.remove(photo.bucket, photo.keys)
                await self.store.delete_media(connection, photo)
        return [
            Finding(
                FindingKind.OBJECT_WITHOUT_ROW,
                photo.bucket,
                key,
                None,
                variant.size_bytes,
                place.create_time,
                is_repaired=repair,
            )
            for variant, key in zip(photo.picture.variants, photo.keys, strict=True)
            if key in present
        ]

    async def _incoming(self, position: Position, *, limit: int, repair: bool) -> Page:
        found = await self.objects.list(INCOMING, INCOMING_PREFIX, after=position.after, limit=limit)
        named = {one.key: possible_upload_id(one.key.removeprefix(INCOMING_PREFIX)) for one in found}
        uploads = await self.store.get_uploads([upload_id for upload_id in named.values() if upload_id is not None])
        findings = []
        for one in found:
            upload_id = named[one.key]
            upload = uploads.get(upload_id) if upload_id is not None else None
            finding = self._judge_original(one, upload)
            if finding is not None:
                findings.append(await self._clear_original(finding, upload) if repair else finding)
        more = Position(Stage.INCOMING, found[-1].key) if len(found) == limit else Position(Stage.PARTS, "")
        return Page(len(found), len(uploads), findings, more)

    def _judge_original(self, one: StoredObject, upload: Upload | None) -> Finding | None:
        now = self.clock.now()
        if upload is None:
            kind, is_due = FindingKind.OBJECT_WITHOUT_ROW, now - one.modified_time > ORPHAN_GRACE
        elif upload.status is UploadStatus.PENDING:
            kind, is_due = FindingKind.ABANDONED_UPLOAD, now > upload.give_up_time
        else:
            is_finished = upload.status is not UploadStatus.PROCESSING
            kind, is_due = FindingKind.ABANDONED_UPLOAD, is_finished and now - one.modified_time > LEFTOVER_GRACE
        if not is_due:
            return None
        upload_id = upload.upload_id if upload else None
        return Finding(kind, INCOMING, one.key, upload_id, one.size_bytes, one.modified_time, is_repaired=False)

    async def _clear_original(self, finding: Finding, upload: Upload | None) -> Finding:
        if upload is not None and upload.status is UploadStatus.PENDING:
            return replace(finding, is_repaired=await self.give_up(upload, ABANDONED))
        await self.objects.remove(finding.bucket, [finding.key])
        return replace(finding, is_repaired=True)

    async def _parts(self, *, limit: int, repair: bool) -> Page:
        found = await self.multipart.open(INCOMING, INCOMING_PREFIX, limit=limit)
        old = [one for one in found if self.clock.now() - one.start_time > UNFINISHED_GRACE]
        findings = [await self._unfinished(one, repair=repair) for one in old]
        return Page(len(found), 0, findings, None)

    async def _unfinished(self, one: OpenMultipart, *, repair: bool) -> Finding:
        if repair:
            await self.multipart.abort(INCOMING, one.key, one.multipart_id)
        return Finding(
            FindingKind.ABANDONED_UPLOAD,
            INCOMING,
            one.key,
            possible_upload_id(one.key.removeprefix(INCOMING_PREFIX)),
            0,
            one.start_time,
            is_repaired=repair,
        )


ABANDONED = Refusal(RejectedReason.EXPIRED, "never_completed")


def _place_of(key: str) -> str:
    """Return the part of a key that names its photo, with the slash."""
    return key.rpartition("/")[0] + "/" if "/" in key else key


def _end_of(key_prefix: str) -> str:
    """Return a key behind every object of a place."""
    return f"{key_prefix}~"
