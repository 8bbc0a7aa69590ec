"""The rules of uploads and photos, and the values that they speak of. Pure: no client library, no waiting."""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import NewType, TypeVar
from uuid import NAMESPACE_URL, UUID, uuid5

from media_svc.errors import (
    BatchTooLarge,
    ContentTypeNotAllowed,
    LegalHoldReasonRequired,
    PageSizeInvalid,
    ReferenceInvalid,
    RequestIdInvalid,
    UploadEmpty,
    UploadKindInvalid,
    UploadNotFound,
    UploadQuotaExceeded,
    UploadTooLarge,
)

T = TypeVar("T")
UserId = NewType("UserId", int)
UploadId = NewType("UploadId", UUID)

MIB = 1024**2
MAX_FORM_BYTES = 15 * MIB
MAX_RESUMABLE_BYTES = 100 * MIB
CONTENT_TYPES = ("image/jpeg", "image/png", "image/webp", "image/heic", "image/avif")

FORM_LIFE = timedelta(minutes=5)
RESUMABLE_LIFE = timedelta(hours=24)
PART_LIFE = timedelta(minutes=15)
PART_BYTES = 5 * MIB
"""The smallest part that S3 takes, so that little is sent again after a broken connection."""
COMPLETE_GRACE = timedelta(minutes=55)
"""How long after the permission to send bytes has ended an upload may still be completed: bytes that were under way
arrive, and a phone that was asleep comes back. Then the upload is given up."""
UNATTACHED_LIFE = timedelta(hours=24)
"""How long a READY photo may wait for its post."""
ORPHAN_GRACE = timedelta(hours=24)
"""How old an object without a row must be before it is removed: younger ones may be about to get their row."""
PURGE_GRACE = timedelta(hours=1)
"""When a deleted photo whose objects are still there is purged without its event."""
REQUEUE_AFTER = timedelta(minutes=10)
"""When an upload that is still PROCESSING is queued again, in case that its event was lost."""
PROCESSING_LIFE = timedelta(hours=24)
"""When an upload that can't be processed is given up, for a cause of ours."""

PHOTOS = "heliograph-photos"
"""Bucket of public photos."""
PRIVATE = "heliograph-private"
"""Bucket of photos that are read through presigned addresses only."""

OPEN_RETRY_MS = 5_000
"""When to try again with too many uploads open: processing takes seconds."""
MAX_REFERENCE_LENGTH = 200
MAX_HOLD_REASON_LENGTH = 500
_KEY = re.compile(r"[\x21-\x7e]{1,64}")
_UPLOADS = uuid5(NAMESPACE_URL, "heliograph:uploads")


class UploadKind(IntEnum):
    """What a photo is for; it decides who may see it."""

    POST = 1
    STORY = 2
    MESSAGE = 3
    AVATAR = 4

    @property
    def is_public(self) -> bool:
        """Whether everybody may read the finished photo by its address."""
        return self in (UploadKind.POST, UploadKind.AVATAR)


class UploadStatus(IntEnum):
    """Where an upload stands; the last two are final."""

    PENDING = 1
    PROCESSING = 2
    READY = 3
    REJECTED = 4


class UploadMethod(IntEnum):
    """How the bytes arrive."""

    FORM = 1
    RESUMABLE = 2


class RejectedReason(IntEnum):
    """Why an upload was refused."""

    NONE = 0
    UNSUPPORTED_FORMAT = 1
    CORRUPT = 2
    EMPTY = 3
    TOO_LARGE = 4
    TOO_MANY_PIXELS = 5
    BAD_DIMENSIONS = 6
    MEMORY_LIMIT = 7
    TIME_LIMIT = 8
    EXPIRED = 9
    ABORTED = 10
    CHECKSUM_MISMATCH = 11
    PROCESSING_FAILED = 12


class ImageFormat(IntEnum):
    """Encodings that are served."""

    WEBP = 1
    JPEG = 2

    @property
    def content_type(self) -> str:
        """Return the type under which it is served."""
        return "image/webp" if self is ImageFormat.WEBP else "image/jpeg"

    @property
    def extension(self) -> str:
        """Return the ending of its objects' keys."""
        return "webp" if self is ImageFormat.WEBP else "jpg"


@dataclass(frozen=True, slots=True)
class Variant:
    """One size and format of a photo; its key is the photo's `key_prefix` + `name`."""

    name: str
    width: int
    height: int
    format: ImageFormat
    size_bytes: int
    is_square: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """What processing made of an original: the same values whoever uploaded it."""

    variants: tuple[Variant, ...]
    """Widest first, WebP before JPEG, the square last."""
    blurhash: str
    dominant_colour: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Developed:
    """A picture and the bytes of its variants, in the same order."""

    picture: Picture
    contents: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture and its place in the object store."""

    bucket: str
    key_prefix: str
    picture: Picture

    @property
    def keys(self) -> list[str]:
        """Return the keys of its objects."""
        return [self.key_prefix + variant.name for variant in self.picture.variants]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an original became no picture; `detail` is a finer word for support and logs."""

    reason: RejectedReason
    detail: str


@dataclass(frozen=True, slots=True)
class Upload:
    """A photo on its way in, and the record of it afterwards."""

    upload_id: UploadId
    owner_id: UserId
    kind: UploadKind
    method: UploadMethod
    content_type: str
    size_bytes: int
    """As declared."""
    status: UploadStatus
    rejected_reason: RejectedReason
    rejected_detail: str
    create_time: datetime
    expire_time: datetime
    """When the permission to send bytes ends."""
    complete_time: datetime | None
    finish_time: datetime | None
    """When it became READY or REJECTED."""
    original_sha256: bytes | None
    photo: Photo | None
    """Set when READY."""
    reference: str | None
    """What the photo is attached to."""
    attach_time: datetime | None
    delete_time: datetime | None
    purge_time: datetime | None
    is_held: bool
    multipart_id: str | None
    """The object store's name of the collection of parts."""
    part_size_bytes: int

    @property
    def incoming_key(self) -> str:
        """Return the key of the original, until it is processed."""
        return f"incoming/{self.upload_id}"

    def is_same_wish(self, other: "Upload") -> bool:
        """Whether both were created by the same words."""
        return (self.kind, self.method, self.content_type, self.size_bytes) == (
            other.kind,
            other.method,
            other.content_type,
            other.size_bytes,
        )

    @property
    def bucket(self) -> str:
        """Return where the finished photo is kept."""
        return PHOTOS if self.kind.is_public else PRIVATE

    @property
    def part_count(self) -> int:
        """Return into how many parts a resumable upload is cut."""
        return -(-self.size_bytes // self.part_size_bytes) if self.part_size_bytes else 0

    def part_bytes(self, number: int) -> int:
        """Return the size of a part, counted from 1: the last one holds the rest."""
        return min(self.part_size_bytes, self.size_bytes - (number - 1) * self.part_size_bytes)

    @property
    def give_up_time(self) -> datetime:
        """Return when it can't be completed any more."""
        return self.expire_time + COMPLETE_GRACE


@dataclass(frozen=True, slots=True)
class DeclaredPart:
    """A part that a client is about to send."""

    number: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class ArrivedPart:
    """A part that the object store holds, with the checksum that was declared for it."""

    number: int
    size_bytes: int
    etag: str
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Usage:
    """What a person has uploaded in the last 24 hours."""

    uploads: int
    bytes: int
    open_uploads: int
    first_time: datetime | None
    """When the first of them was begun; it is the first to stop counting."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """An upload and what shows it."""

    upload_id: UploadId
    owner_id: UserId
    reference: str
    attach_time: datetime


@dataclass(frozen=True, slots=True)
class Place:
    """A row of media as reconciliation sees it."""

    photo: Photo
    create_time: datetime
    store_time: datetime | None
    """When all of its objects stood in the store; `None` while they are written or removed."""
    claimed_by: UploadId | None
    """One of the uploads that point to it."""


class FindingKind(IntEnum):
    """How rows and objects can disagree."""

    OBJECT_WITHOUT_ROW = 1
    ROW_WITHOUT_OBJECT = 2
    ABANDONED_UPLOAD = 3
    DELETED_BUT_PRESENT = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """One disagreement."""

    kind: FindingKind
    bucket: str
    key: str
    upload_id: UploadId | None
    size_bytes: int
    modify_time: datetime
    is_repaired: bool


@dataclass(frozen=True, slots=True)
class Quota:
    """What one person may upload."""

    uploads_per_day: int
    bytes_per_day: int
    open_uploads: int

    def check(self, usage: Usage, wanted: Upload, *, now: datetime) -> None:
        """Raise `UploadQuotaExceeded`, with when to come back, if one more upload would be too much."""
        first = usage.first_time or now
        until_first_ends = int((first + timedelta(hours=24) - now) / timedelta(milliseconds=1))
        if usage.open_uploads >= self.open_uploads:
            raise UploadQuotaExceeded(limit=self.open_uploads, retry_after_ms=OPEN_RETRY_MS)
        if usage.uploads >= self.uploads_per_day:
            raise UploadQuotaExceeded(limit=self.uploads_per_day, retry_after_ms=until_first_ends)
        if usage.bytes + wanted.size_bytes > self.bytes_per_day:
            raise UploadQuotaExceeded(limit=self.bytes_per_day, retry_after_ms=until_first_ends)


def new_upload(
    *,
    upload_id: UploadId,
    owner_id: UserId,
    kind: UploadKind,
    method: UploadMethod,
    content_type: str,
    size_bytes: int,
    create_time: datetime,
    expire_time: datetime,
    multipart_id: str | None = None,
    part_size_bytes: int = 0,
) -> Upload:
    """Return a PENDING upload."""
    return Upload(
        upload_id=upload_id,
        owner_id=owner_id,
        kind=kind,
        method=method,
        content_type=content_type,
        size_bytes=size_bytes,
        status=UploadStatus.PENDING,
        rejected_reason=RejectedReason.NONE,
        rejected_detail="",
        create_time=create_time,
        expire_time=expire_time,
        complete_time=None,
        finish_time=None,
        original_sha256=None,
        photo=None,
        reference=None,
        attach_time=None,
        delete_time=None,
        purge_time=None,
        is_held=False,
        multipart_id=multipart_id,
        part_size_bytes=part_size_bytes,
    )


def upload_id_for(owner: UserId, request_id: str) -> UploadId:
    """Return the id of what a person's request creates: the same request can only ever create one upload."""
    return UploadId(uuid5(_UPLOADS, f"{owner}:{request_id}"))


def parse_upload_id(text: str) -> UploadId:
    """Read an id as callers write it; what can't be one is an upload that doesn't exist."""
    if (upload_id := possible_upload_id(text)) is None:
        raise UploadNotFound
    return upload_id


def possible_upload_id(text: str) -> UploadId | None:
    """Read an id in a batch; `None` for what can't be one."""
    try:
        return UploadId(UUID(text))
    except ValueError:
        return None


def checked_kind(number: int) -> UploadKind:
    """Return the kind of that number; `UploadKindInvalid` when there is none."""
    try:
        return UploadKind(number)
    except ValueError as error:
        raise UploadKindInvalid from error


def check_upload(*, content_type: str, size_bytes: int, max_bytes: int, request_id: str) -> None:
    """Raise what is wrong with a wish to upload."""
    if content_type not in CONTENT_TYPES:
        raise ContentTypeNotAllowed(field="content_type")
    if size_bytes < 1:
        raise UploadEmpty(field="size_bytes")
    if size_bytes > max_bytes:
        raise UploadTooLarge(limit=max_bytes)
    if not _KEY.fullmatch(request_id):
        raise RequestIdInvalid


def checked_reference(text: str) -> str:
    """Return a name that another service gives, 1 to 200 characters."""
    if not 1 <= len(text) <= MAX_REFERENCE_LENGTH or "\0" in text:
        raise ReferenceInvalid(limit=MAX_REFERENCE_LENGTH)
    return text


def checked_hold_reason(text: str) -> str:
    """Return why a hold changes, 1 to 500 characters; `LegalHoldReasonRequired`."""
    if not 1 <= len(text.strip()) <= MAX_HOLD_REASON_LENGTH or "\0" in text:
        raise LegalHoldReasonRequired(limit=MAX_HOLD_REASON_LENGTH)
    return text


def checked_page_size(wanted: int, *, default: int, limit: int) -> int:
    """Return how many entries to give; 0 asks for the default."""
    if not 0 <= wanted <= limit:
        raise PageSizeInvalid(limit=limit)
    return wanted or default


def checked_batch(asked: Iterable[T], *, limit: int) -> list[T]:
    """Return the entries of a batch; `BatchTooLarge` when there are none or too many."""
    entries = list(asked)
    if not 1 <= len(entries) <= limit:
        raise BatchTooLarge(limit=limit)
    return entries


def key_prefix_of(picture: Picture, contents: Iterable[bytes]) -> str:
    """Return where a picture's objects stand: named by a hash of everything in them.

    The same bytes have the same place whoever uploads them, other bytes never do; so an object, once written, is never
    changed, and writing it again is harmless. The first two digits spread the keys.
    """
    digest = hashlib.sha256(json.dumps(asdict(picture), sort_keys=True).encode())
    for content in contents:
        digest.update(hashlib.sha256(content).digest())
    name = digest.hexdigest()
    return f"{name[:2]}/{name}/"
