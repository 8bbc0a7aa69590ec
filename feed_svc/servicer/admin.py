"""heliograph.feed.v1.FeedAdminService."""

from dataclasses import asdict, dataclass

from feed_svc import wire
from feed_svc.domain import DifferenceKind, UserId, checked_batch, checked_size
from feed_svc.servicer.pages import Context
from feed_svc.usecases.build_timeline import RebuildTimelines
from feed_svc.usecases.dead_letters import ListDeadLetters, ReplayDeadLetters
from feed_svc.usecases.policies import AdvisePolicy
from feed_svc.usecases.verify_feeds import VerifyFeeds
from heliograph.feed.v1 import feed_admin_service_pb2, feed_admin_service_pb2_grpc
from mesh.cursor import CursorSigner

MAX_USERS = 100
MAX_DEAD_LETTERS = 100
MAX_DIFFERENCES = 1_000
NEWEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class AdminServicer(feed_admin_service_pb2_grpc.FeedAdminServiceServicer):
    """heliograph.feed.v1.FeedAdminService."""

    verify_feeds: VerifyFeeds
    rebuild_timelines: RebuildTimelines
    advise_policy: AdvisePolicy
    list_dead_letters: ListDeadLetters
    replay_dead_letters: ReplayDeadLetters
    cursors: CursorSigner

    async def VerifyFeeds(
        self, request: feed_admin_service_pb2.VerifyFeedsRequest, context: Context
    ) -> feed_admin_service_pb2.VerifyFeedsResponse:
        """Compare served feeds with the oracle."""
        size = checked_size(request.page_size, default=100, limit=MAX_DIFFERENCES)
        seed, first = request.seed, 0
        if request.page_token:
            seed, first = self.cursors.decode_ints("verify", request.page_token, 2)
        verdict = await self.verify_feeds(
            [UserId(user_id) for user_id in request.user_ids],
            sample_size=request.sample_size,
            seed=seed,
            depth=request.depth,
        )
        last = first + size
        return feed_admin_service_pb2.VerifyFeedsResponse(
            users_checked=verdict.users_checked,
            posts_checked=verdict.posts_checked,
            missing_count=verdict.count(DifferenceKind.MISSING),
            extra_count=verdict.count(DifferenceKind.EXTRA),
            doubled_count=verdict.count(DifferenceKind.DOUBLED),
            out_of_order_count=verdict.count(DifferenceKind.OUT_OF_ORDER),
            differences=[wire.difference(one) for one in verdict.differences[first:last]],
            seed=verdict.seed,
            next_page_token=self.cursors.encode("verify", verdict.seed, last)
            if len(verdict.differences) > last
            else "",
        )

    async def RebuildTimelines(
        self, request: feed_admin_service_pb2.RebuildTimelinesRequest, context: Context
    ) -> feed_admin_service_pb2.RebuildTimelinesResponse:
        """Rebuild timelines."""
        users = [UserId(user_id) for user_id in checked_batch(request.user_ids, limit=MAX_USERS)]
        return feed_admin_service_pb2.RebuildTimelinesResponse(
            results=[
                feed_admin_service_pb2.TimelineRebuild(user_id=user, found=found, entry_count=count)
                for user, found, count in await self.rebuild_timelines(users)
            ]
        )

    async def AdviseDeliveryPolicy(
        self, request: feed_admin_service_pb2.AdviseDeliveryPolicyRequest, context: Context
    ) -> feed_admin_service_pb2.AdviseDeliveryPolicyResponse:
        """Weigh thresholds."""
        costs, current, days = await self.advise_policy(list(request.pull_thresholds), window_days=request.window_days)
        return feed_admin_service_pb2.AdviseDeliveryPolicyResponse(
            costs=[wire.threshold_cost(one) for one in costs],
            current=wire.threshold_cost(current),
            observed_days=days,
        )

    async def ListFanOutDeadLetters(
        self, request: feed_admin_service_pb2.ListFanOutDeadLettersRequest, context: Context
    ) -> feed_admin_service_pb2.ListFanOutDeadLettersResponse:
        """List what was given up."""
        token = request.page_token
        before = self.cursors.decode_ints("dead", token, 1)[0] if token else NEWEST
        found, has_more = await self.list_dead_letters(page_size=request.page_size, before=before)
        return feed_admin_service_pb2.ListFanOutDeadLettersResponse(
            dead_letters=[wire.dead_letter(**asdict(one)) for one in found],
            next_page_token=self.cursors.encode("dead", found[-1].dead_letter_id) if has_more else "",
        )

    async def ReplayFanOutDeadLetters(
        self, request: feed_admin_service_pb2.ReplayFanOutDeadLettersRequest, context: Context
    ) -> feed_admin_service_pb2.ReplayFanOutDeadLettersResponse:
        """Queue again what was given up."""
        ids = checked_batch(request.dead_letter_ids, limit=MAX_DEAD_LETTERS)
        return feed_admin_service_pb2.ReplayFanOutDeadLettersResponse(
            replayed_count=await self.replay_dead_letters(ids)
        )
