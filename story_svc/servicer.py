"""gRPC in, use case, gRPC out: no rule, no SQL, no try."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from google.protobuf.duration_pb2 import Duration

from heliograph.story.v1 import (
    story_admin_service_pb2,
    story_admin_service_pb2_grpc,
    story_service_pb2,
    story_service_pb2_grpc,
    story_tray_view_pb2,
)
from mesh import auth
from mesh.clock import from_us, to_us
from mesh.cursor import CursorSigner
from story_svc import wire
from story_svc.domain import Entry, Sighting, StoryId, UserId
from story_svc.usecases.catch_up_expiry import CatchUpExpiry
from story_svc.usecases.delete_story import DeleteStory
from story_svc.usecases.get_stories import GetStories, ListStories
from story_svc.usecases.get_story_tray import GetStoryTray
from story_svc.usecases.list_viewers import ListViewers
from story_svc.usecases.mark_seen import MarkSeen
from story_svc.usecases.publish_story import PublishStory
from story_svc.usecases.reconcile_stories import Position, ReconcileStories
from story_svc.usecases.set_legal_hold import GetStoryRecord, SetLegalHold
from story_svc.wire import Wire

Context = Any
FIRST_ENTRY = Entry(StoryId(0), datetime(1970, 1, 1, tzinfo=UTC))
"""Before every story."""
LAST_SIGHTING = Sighting(UserId(2**63 - 1), datetime(9999, 1, 1, tzinfo=UTC))
"""After every sighting: where a list that is most recent first begins."""
RECONCILIATION = "reconcile stories"


def _viewer() -> UserId:
    return UserId(auth.viewer_id())


@dataclass(frozen=True, slots=True)
class StoryServicer(story_service_pb2_grpc.StoryServiceServicer):
    """heliograph.story.v1.StoryService."""

    publish_story: PublishStory
    delete_story: DeleteStory
    get_story_tray: GetStoryTray
    list_stories: ListStories
    get_stories: GetStories
    mark_seen: MarkSeen
    list_viewers: ListViewers
    cursors: CursorSigner
    wire: Wire

    async def PublishStory(
        self, request: story_service_pb2.PublishStoryRequest, context: Context
    ) -> story_service_pb2.PublishStoryResponse:
        """Publish a photo as a story."""
        view = await self.publish_story(_viewer(), upload_id=request.upload_id, request_id=request.request_id)
        return story_service_pb2.PublishStoryResponse(story=self.wire.story(view))

    async def DeleteStory(
        self, request: story_service_pb2.DeleteStoryRequest, context: Context
    ) -> story_service_pb2.DeleteStoryResponse:
        """Delete a story."""
        end_time = await self.delete_story(_viewer(), StoryId(request.story_id))
        return story_service_pb2.DeleteStoryResponse(end_time=wire.timestamp(end_time))

    async def GetStoryTray(  # type: ignore[override]  # the same bytes as the message that is promised
        self, request: story_service_pb2.GetStoryTrayRequest, context: Context
    ) -> story_tray_view_pb2.GetStoryTrayResponseView:
        """Read the tray."""
        return self.wire.tray(await self.get_story_tray(_viewer(), page_size=request.page_size))

    async def ListStories(
        self, request: story_service_pb2.ListStoriesRequest, context: Context
    ) -> story_service_pb2.ListStoriesResponse:
        """List one person's stories."""
        viewer = _viewer()
        scope = f"stories:{viewer}:{request.user_id}"
        after = FIRST_ENTRY
        if request.page_token:
            end_us, story_id = self.cursors.decode_ints(scope, request.page_token, 2)
            after = Entry(StoryId(story_id), from_us(end_us))
        views, following = await self.list_stories(
            viewer, UserId(request.user_id), page_size=request.page_size, after=after
        )
        return story_service_pb2.ListStoriesResponse(
            stories=[self.wire.story(view) for view in views],
            next_page_token=self.cursors.encode(scope, to_us(following.expire_time), following.story_id)
            if following is not None
            else "",
        )

    async def BatchGetStories(
        self, request: story_service_pb2.BatchGetStoriesRequest, context: Context
    ) -> story_service_pb2.BatchGetStoriesResponse:
        """Look stories up."""
        found = await self.get_stories(_viewer(), request.story_ids)
        return story_service_pb2.BatchGetStoriesResponse(
            results=[
                story_service_pb2.StoryLookup(
                    story_id=story_id,
                    found=story_id in found,
                    story=self.wire.story(found[StoryId(story_id)]) if story_id in found else None,
                )
                for story_id in request.story_ids
            ]
        )

    async def MarkSeen(
        self, request: story_service_pb2.MarkSeenRequest, context: Context
    ) -> story_service_pb2.MarkSeenResponse:
        """Note that stories were seen."""
        await self.mark_seen(_viewer(), request.story_ids)
        return story_service_pb2.MarkSeenResponse()

    async def ListViewers(
        self, request: story_service_pb2.ListViewersRequest, context: Context
    ) -> story_service_pb2.ListViewersResponse:
        """List who has seen a story."""
        viewer = _viewer()
        scope = f"viewers:{viewer}:{request.story_id}"
        before = LAST_SIGHTING
        if request.page_token:
            time_us, user_id = self.cursors.decode_ints(scope, request.page_token, 2)
            before = Sighting(UserId(user_id), from_us(time_us))
        page = await self.list_viewers(viewer, StoryId(request.story_id), page_size=request.page_size, before=before)
        return story_service_pb2.ListViewersResponse(
            viewers=[wire.viewer(sighting) for sighting in page.sightings],
            next_page_token=self._place(scope, page.next_before) if page.next_before is not None else "",
            total_count=page.total_count,
            cursors=[self._place(scope, one) for one in page.sightings] if request.include_cursors else (),
        )

    def _place(self, scope: str, sighting: Sighting) -> str:
        return self.cursors.encode(scope, to_us(sighting.view_time), sighting.viewer_id)


@dataclass(frozen=True, slots=True)
class StoryAdminServicer(story_admin_service_pb2_grpc.StoryAdminServiceServicer):
    """heliograph.story.v1.StoryAdminService."""

    reconcile_stories: ReconcileStories
    catch_up_expiry: CatchUpExpiry
    set_legal_hold: SetLegalHold
    get_story_record: GetStoryRecord
    cursors: CursorSigner

    async def ReconcileStories(
        self, request: story_admin_service_pb2.ReconcileStoriesRequest, context: Context
    ) -> story_admin_service_pb2.ReconcileStoriesResponse:
        """Compare rows, caches and photos."""
        position = Position()
        if request.page_token:
            phase, place = self.cursors.decode(RECONCILIATION, request.page_token, (int, str))
            position = Position(int(phase), str(place))
        compared = await self.reconcile_stories(position, page_size=request.page_size, repair=request.repair)
        following = compared.next_position
        return story_admin_service_pb2.ReconcileStoriesResponse(
            checked_count=compared.checked_count,
            findings=[wire.finding(finding) for finding in compared.findings],
            repaired_count=sum(finding.is_repaired for finding in compared.findings),
            next_page_token=self.cursors.encode(RECONCILIATION, following.phase, following.place)
            if following is not None
            else "",
        )

    async def CatchUpExpiry(
        self, request: story_admin_service_pb2.CatchUpExpiryRequest, context: Context
    ) -> story_admin_service_pb2.CatchUpExpiryResponse:
        """Expire and purge what is due."""
        done = await self.catch_up_expiry(page_size=request.page_size)
        lag = Duration()
        lag.FromMilliseconds(int(max(done.due.expiry_lag_seconds, done.due.purge_lag_seconds) * 1_000))
        return story_admin_service_pb2.CatchUpExpiryResponse(
            expired_count=done.expired_count,
            purged_count=done.purged_count,
            remaining_count=done.due.to_expire + done.due.to_purge,
            lag=lag,
        )

    async def SetLegalHold(
        self, request: story_admin_service_pb2.SetLegalHoldRequest, context: Context
    ) -> story_admin_service_pb2.SetLegalHoldResponse:
        """Hold a story, or lift a hold."""
        record = await self.set_legal_hold(StoryId(request.story_id), is_held=request.is_held, reason=request.reason)
        return story_admin_service_pb2.SetLegalHoldResponse(record=wire.record(record))

    async def GetStoryRecord(
        self, request: story_admin_service_pb2.GetStoryRecordRequest, context: Context
    ) -> story_admin_service_pb2.GetStoryRecordResponse:
        """Return a story's record."""
        record = await self.get_story_record(StoryId(request.story_id))
        return story_admin_service_pb2.GetStoryRecordResponse(record=wire.record(record))
