"""heliograph.feed.v1.FeedService."""

from dataclasses import dataclass

from feed_svc import wire
from feed_svc.domain import PolicyChange, UserId
from feed_svc.servicer.pages import Context, cursors_of, next_page_token, position, viewer
from feed_svc.usecases.explain_feed import ExplainFeed
from feed_svc.usecases.get_home_feed import GetHomeFeed
from feed_svc.usecases.policies import GetPolicy, SetPolicy
from feed_svc.wire import Wire
from heliograph.feed.v1 import feed_service_pb2, feed_service_pb2_grpc
from mesh import auth
from mesh.cursor import CursorSigner


@dataclass(frozen=True, slots=True)
class FeedServicer(feed_service_pb2_grpc.FeedServiceServicer):
    """heliograph.feed.v1.FeedService."""

    get_home_feed: GetHomeFeed
    explain_feed: ExplainFeed
    get_policy: GetPolicy
    set_policy: SetPolicy
    cursors: CursorSigner
    wire: Wire

    async def GetHomeFeed(
        self, request: feed_service_pb2.GetHomeFeedRequest, context: Context
    ) -> feed_service_pb2.GetHomeFeedResponse:
        """Read the home feed."""
        person = viewer()
        scope = f"home:{person}"
        page = await self.get_home_feed(
            person, page_size=request.page_size, before=position(self.cursors, scope, request.page_token)
        )
        return feed_service_pb2.GetHomeFeedResponse(
            items=[self.wire.feed_item(view) for view in page.views],
            is_stale=page.is_stale,
            next_page_token=next_page_token(self.cursors, scope, page),
            cursors=cursors_of(self.cursors, scope, page) if request.include_cursors else (),
        )

    async def ExplainFeed(
        self, request: feed_service_pb2.ExplainFeedRequest, context: Context
    ) -> feed_service_pb2.ExplainFeedResponse:
        """Say why a feed is as it is."""
        scope = f"explain:{request.user_id}"
        state, entries, last = await self.explain_feed(
            UserId(request.user_id),
            page_size=request.page_size,
            before=position(self.cursors, scope, request.page_token),
        )
        return feed_service_pb2.ExplainFeedResponse(
            timeline=wire.timeline_state(state),
            entries=[wire.explanation(one) for one in entries],
            next_page_token=self.cursors.encode(scope, last) if last is not None else "",
        )

    async def GetDeliveryPolicy(
        self, request: feed_service_pb2.GetDeliveryPolicyRequest, context: Context
    ) -> feed_service_pb2.GetDeliveryPolicyResponse:
        """Return a version of the delivery policy."""
        policy = await self.get_policy(request.version)
        return feed_service_pb2.GetDeliveryPolicyResponse(policy=wire.policy(policy))

    async def SetDeliveryPolicy(
        self, request: feed_service_pb2.SetDeliveryPolicyRequest, context: Context
    ) -> feed_service_pb2.SetDeliveryPolicyResponse:
        """Set a version of the delivery policy."""
        change = PolicyChange(
            pull_threshold=request.pull_threshold if request.HasField("pull_threshold") else None,
            hysteresis_percent=request.hysteresis_percent if request.HasField("hysteresis_percent") else None,
            rollout_percent=request.rollout_percent if request.HasField("rollout_percent") else None,
            note=request.note,
        )
        policy = await self.set_policy(
            change,
            set_by=auth.caller.get(),
            expected_version=request.expected_version,
            request_id=request.request_id,
        )
        return feed_service_pb2.SetDeliveryPolicyResponse(policy=wire.policy(policy))
