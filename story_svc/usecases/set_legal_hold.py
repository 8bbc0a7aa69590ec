"""Put a story under legal hold, or lift it; and read the record of any story."""

from dataclasses import dataclass

from story_svc.domain import StoryId, StoryRecord, checked_hold_reason
from story_svc.errors import StoryAlreadyPurged, StoryNotFound
from story_svc.peers import MediaCare
from story_svc.store import Store


@dataclass(frozen=True, slots=True)
class GetStoryRecord:
    """Everything that is kept, in any state."""

    store: Store

    async def __call__(self, story_id: StoryId) -> StoryRecord:
        """Return the record; `StoryNotFound` when there never was such a story."""
        record = (await self.store.get_records([story_id])).get(story_id)
        if record is None:
            raise StoryNotFound
        return record


@dataclass(frozen=True, slots=True)
class SetLegalHold:
    """The flag stands on the story's row and on the photo: neither our purge nor anything of media_svc removes it."""

    store: Store
    media: MediaCare
    get_story_record: GetStoryRecord

    async def __call__(self, story_id: StoryId, *, is_held: bool, reason: str) -> StoryRecord:
        """Return the record as it is then. Safe to repeat: each call is written to the history.

        `LegalHoldReasonRequired`, `StoryNotFound`, or `StoryAlreadyPurged` when there is nothing left to hold.
        """
        why = checked_hold_reason(reason)
        record = await self.get_story_record(story_id)
        if is_held:
            held = await self._set(story_id, is_held=True, reason=why)
            await self.media.set_hold(record.upload_id, is_held=True, reason=why)
            return held
        # Lifted at the photo first: if the second step is lost, the story is still held and the call is repeated.
        await self.media.set_hold(record.upload_id, is_held=False, reason=why)
        return await self._set(story_id, is_held=False, reason=why)

    async def _set(self, story_id: StoryId, *, is_held: bool, reason: str) -> StoryRecord:
        async with self.store.transaction() as connection:
            changed = await self.store.set_hold(connection, story_id, is_held=is_held, reason=reason)
        if changed is None:
            raise StoryAlreadyPurged
        return changed
