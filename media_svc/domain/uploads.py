"""An upload from the wish to its end: who may send what, in which states it can be, and its id."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import NewType
from uuid import NAMESPACE_URL, UUID, uuid5

from media_svc.domain.photos import PHOTOS, PRIVATE, Photo
from media_svc.errors import (
    ContentTypeNotAllowed,
    RequestIdInvalid,
    UploadEmpty,
    UploadKindInvalid,
    UploadNotFound,
    UploadTooLarge,
)

UserId = NewType("UserId", int)
UploadId = NewType("UploadId", UUID)

MIB = 1024**2
MAX_FORM_BYTES = 15 * MIB
MAX_RESUMABLE_BYTES = 100 * MIB
CONTENT_TYPES = ("image/jpeg", "image/png", "image/webp", "image/heic", "image/avif")

FORM_LIFE = timedelta(minutes=5)
RENEWABLE_LIFE = timedelta(hours=24)
"""How long asking again gives a new form: for ever would keep an upload open beyond what quotas count."""
RESUMABLE_LIFE = timedelta(hours=24)
PART_LIFE = timedelta(minutes=15)
PART_BYTES = 5 * MIB
"""The smallest part that S3 takes, so that little is sent again after a broken connection."""
COMPLETE_GRACE = timedelta(minutes=55)
"""How long after the permission to send bytes has ended an upload may still be completed: bytes that were under way
arrive, and a phone that was asleep comes back. Then the upload is given up."""

_UPLOADS = uuid5(NAMESPACE_URL, "heliograph:uploads")
_KEY = re.compile(r"[\x21-\x7e]{1,64}")


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
