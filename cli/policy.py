"""`heliograph policy get|set|advise`: which authors' posts are pushed and which are pulled."""

import uuid
from argparse import Namespace

from cli.commands import OK, Nouns, noun, verb
from cli.output import as_json, facts, table, when
from cli.services import FEED, Services
from heliograph.feed.v1.delivery_policy_pb2 import DeliveryPolicy
from heliograph.feed.v1.feed_admin_service_pb2 import AdviseDeliveryPolicyRequest, ThresholdCost
from heliograph.feed.v1.feed_admin_service_pb2_grpc import FeedAdminServiceStub
from heliograph.feed.v1.feed_service_pb2 import GetDeliveryPolicyRequest, SetDeliveryPolicyRequest
from heliograph.feed.v1.feed_service_pb2_grpc import FeedServiceStub

THRESHOLDS = (1_000, 10_000, 100_000, 1_000_000)


def add(nouns: Nouns) -> None:
    """Add the noun `policy`."""
    verbs = noun(nouns, "policy", "the delivery policy: push or pull")
    parser = verb(verbs, "get", "show a version of the policy", get)
    parser.add_argument("--version", type=int, default=0, help="which (default: the newest)")
    parser = verb(verbs, "set", "set a new version; what isn't said stays as it is", set_policy)
    parser.add_argument("--pull-threshold", type=int, help="authors with so many followers or more are pulled")
    parser.add_argument("--hysteresis-percent", type=int, help="width of the band below the threshold, 0 to 50")
    parser.add_argument("--rollout-percent", type=int, help="share of authors for whom it counts, 0 to 100")
    parser.add_argument("--note", default="", help="why")
    parser.add_argument("--expect", type=int, default=0, metavar="VERSION", help="refuse if the newest is another one")
    parser.add_argument("--request-id", default="", help="key of this change, to repeat it safely (default: a new one)")
    parser = verb(verbs, "advise", "what other thresholds would have cost and saved", advise)
    parser.add_argument("thresholds", nargs="*", type=int, default=THRESHOLDS, metavar="FOLLOWERS")
    parser.add_argument("--days", type=int, default=0, help="days of history to weigh, 1 to 30 (default: 7)")


async def get(services: Services, arguments: Namespace) -> int:
    """Print a version of the policy."""
    feed = FeedServiceStub(await services.channel(FEED))
    reply = await feed.GetDeliveryPolicy(GetDeliveryPolicyRequest(version=arguments.version))
    _print(reply.policy, arguments)
    return OK


async def set_policy(services: Services, arguments: Namespace) -> int:
    """Set a new version and print it."""
    feed = FeedServiceStub(await services.channel(FEED))
    reply = await feed.SetDeliveryPolicy(
        SetDeliveryPolicyRequest(
            pull_threshold=arguments.pull_threshold,
            hysteresis_percent=arguments.hysteresis_percent,
            rollout_percent=arguments.rollout_percent,
            note=arguments.note,
            expected_version=arguments.expect,
            request_id=arguments.request_id or str(uuid.uuid4()),
        )
    )
    _print(reply.policy, arguments)
    return OK


async def advise(services: Services, arguments: Namespace) -> int:
    """Print what thresholds would have cost, the one in force first."""
    admin = FeedAdminServiceStub(await services.channel(FEED))
    reply = await admin.AdviseDeliveryPolicy(
        AdviseDeliveryPolicyRequest(pull_thresholds=arguments.thresholds, window_days=arguments.days)
    )
    if arguments.json:
        as_json(reply)
        return OK
    table(
        ["threshold", "authors pulled", "pushes a day", "pulls a read", "most pushes of a post"],
        [_cost(cost) for cost in (reply.current, *reply.costs)],
        empty="no history yet",
    )
    print(f"The first line is the policy in force. Seen: {reply.observed_days:.1f} days.")
    return OK


def _print(policy: DeliveryPolicy, arguments: Namespace) -> None:
    if arguments.json:
        as_json(policy)
        return
    facts(
        {
            "version": policy.version,
            "pull threshold": f"{policy.pull_threshold} followers",
            "hysteresis": f"{policy.hysteresis_percent} %",
            "rollout": f"{policy.rollout_percent} % of authors",
            "set by": policy.set_by or "-",
            "note": policy.note or "-",
            "set at": when(policy, "create_time"),
        }
    )


def _cost(cost: ThresholdCost) -> list[object]:
    return [
        cost.pull_threshold,
        cost.pulled_author_count,
        round(cost.pushes_per_day),
        round(cost.pulls_per_read, 2),
        cost.max_pushes_per_post,
    ]
