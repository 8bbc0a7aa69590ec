"""Publish a photo as a story."""

from dataclasses import dataclass
from datetime import timedelta

from mesh import outbox
from mesh.clock import Clock
from mesh.ids import IdMaker
from mesh.outbox import Wakeup
from mesh.postgres import Connection
from mesh.redis import TROUBLE
from mesh.telemetry import get_logger
from story_svc import events
from story_svc.cache import Cache
from story_svc.domain import (
    Photo,
    StoryId,
    StoryRecord,
    StoryState,
    StoryView,
    UserId,
    attachment_reference,
    checked_request_id,
    checked_upload_id,
    is_live,
)
from story_svc.errors import IdempotencyKeyReused, StoryDailyLimitReached
from story_svc.peers import Media
from story_svc.photos import Photos
from story_svc.store import Store

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PublishStory:
    """One transaction writes the story, with its end, and its event.

    The photo is attached before it, under a reference made from the request id: a crash in between leaves an attached
    photo without a story, which the retry with the same request id takes up again and reconciliation finds.
    """

    store: Store
    cache: Cache
    media: Media
    photos: Photos
    clock: Clock
    ids: IdMaker
    wakeup: Wakeup
    daily_limit: int

    async def __call__(self, viewer: UserId, *, upload_id: str, request_id: str) -> StoryView:
        """Return the story, new or from the first call with this request id; without its photo once it is gone."""
        checked_request_id(request_id)
        upload_id = checked_upload_id(upload_id)
        record = await self.store.get_record_by_request(viewer, request_id)
        if record is None:
            record = await self._publish(viewer, upload_id, request_id)
        if record.upload_id != upload_id:
            raise IdempotencyKeyReused
        now = self.clock.now()
        gone = record.state is not StoryState.LIVE or not is_live(record.expire_time, now)
        return StoryView(record.story, None if gone else self.photos.sign(record.story, now), viewer_has_seen=True)

    async def _publish(self, viewer: UserId, upload_id: str, request_id: str) -> StoryRecord:
        # Looked at before the photo is bound for ever, and again under the lock.
        async with self.store.transaction() as connection:
            await self._refuse_past_limit(connection, viewer)
        photo = await self.media.attach_story_photo(upload_id, reference=attachment_reference(viewer, request_id))
        record = await self._commit(viewer, upload_id, request_id, photo)
        if record is None:
            # A retry that ran beside this call was first: what is stored counts.
            record = await self.store.get_record_by_request(viewer, request_id)
            assert record is not None  # noqa: S101 - rows are never deleted
            return record
        await self._show(record)
        await self.wakeup.hint()
        return record

    async def _commit(self, viewer: UserId, upload_id: str, request_id: str, photo: Photo) -> StoryRecord | None:
        async with self.store.transaction() as connection:
            await self.store.lock_author(connection, viewer)
            if await self.store.has_request(connection, viewer, request_id):
                return None
            await self._refuse_past_limit(connection, viewer)
            record = await self.store.insert_story(
                connection,
                author=viewer,
                story_id=StoryId(self.ids.next_id()),
                request_id=request_id,
                upload_id=upload_id,
                photo=photo,
            )
            if record is not None:
                await outbox.add(connection, events.story_published(record))
        return record

    async def _refuse_past_limit(self, connection: Connection, viewer: UserId) -> None:
        published = await self.store.count_published(connection, viewer)
        if published.count >= self.daily_limit:
            wait = (published.next_time or published.now) - published.now
            raise StoryDailyLimitReached(
                limit=self.daily_limit, retry_after_ms=max(1, -(-wait // timedelta(milliseconds=1)))
            )

    async def _show(self, record: StoryRecord) -> None:
        """Make it seen at once; when this is lost, the event does it again."""
        try:
            await self.cache.reels.forget([record.author_id])
            await self.cache.records.put([record.story])
        except TROUBLE as error:
            _log.warning("story_cache_write_failed", error=repr(error))
