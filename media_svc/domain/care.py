"""What keeps rows and objects in step: how long things may wait, and how they can disagree."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from media_svc.domain.photos import Photo
from media_svc.domain.uploads import UploadId, UserId

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
