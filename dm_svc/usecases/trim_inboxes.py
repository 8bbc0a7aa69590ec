"""Forget inbox entries that are too old to be replayed."""

from dataclasses import dataclass

from dm_svc.store.care import CareStore

BATCH = 500


@dataclass(frozen=True, slots=True)
class TrimInboxes:
    """After 30 days (`HELIOGRAPH_DM_INBOX_DAYS`) a cursor gets RESYNC instead; the messages themselves stay."""

    store: CareStore
    kept_seconds: float

    async def __call__(self) -> int:
        """Remove what is too old; return of how many people."""
        trimmed = 0
        while found := await self.store.forget_old_entries(kept_seconds=self.kept_seconds, limit=BATCH):
            trimmed += found
        return trimmed
