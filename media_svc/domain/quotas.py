"""How much one person may upload."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from media_svc.domain.uploads import Upload
from media_svc.errors import UploadQuotaExceeded

OPEN_RETRY_MS = 5_000
"""When to try again with too many uploads open: processing takes seconds."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a person has uploaded in the last 24 hours."""

    uploads: int
    bytes: int
    open_uploads: int
    first_time: datetime | None
    """When the first of them was begun; it is the first to stop counting."""


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
