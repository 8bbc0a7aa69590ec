"""`heliograph feed explain|verify|rebuild|dead-letters`: why a feed looks as it does, and whether it is right."""

from argparse import Namespace

from cli.commands import FOUND_TROUBLE, OK, Nouns, noun, verb
from cli.output import as_json, facts, seconds, table, when, word
from cli.services import FEED, Services
from heliograph.feed.v1.delivery_policy_pb2 import DeliveryMode
from heliograph.feed.v1.feed_admin_service_pb2 import (
    FeedDifferenceKind,
    ListFanOutDeadLettersRequest,
    RebuildTimelinesRequest,
    ReplayFanOutDeadLettersRequest,
    VerifyFeedsRequest,
    VerifyFeedsResponse,
)
from heliograph.feed.v1.feed_admin_service_pb2_grpc import FeedAdminServiceStub
from heliograph.feed.v1.feed_service_pb2 import (
    ExplainFeedRequest,
    FeedDropRule,
    FeedEntrySource,
    FeedExplanation,
    TimelineState,
)
from heliograph.feed.v1.feed_service_pb2_grpc import FeedServiceStub


def add(nouns: Nouns) -> None:
    """Add the noun `feed`."""
    verbs = noun(nouns, "feed", "home feeds")
    parser = verb(verbs, "explain", "say for each post of a feed why it is there, or why it was dropped", explain)
    parser.add_argument("person", help="username or number")
    parser.add_argument("--entries", type=int, default=50, help="most posts to explain (default: 50)")
    parser = verb(verbs, "verify", "compare served feeds with the oracle; status 3 if any differs", verify)
    parser.add_argument("people", nargs="*", metavar="PERSON", help="whose (default: a random sample)")
    parser.add_argument("--sample", type=int, default=100, help="how many people to draw (default: 100)")
    parser.add_argument("--seed", type=int, default=0, help="repeats a draw")
    parser.add_argument("--depth", type=int, default=300, help="newest posts to compare (default: 300)")
    parser = verb(verbs, "rebuild", "build people's stored timelines anew from the tables", rebuild)
    parser.add_argument("people", nargs="+", metavar="PERSON", help="username or number")
    parser = verb(verbs, "dead-letters", "fan-out that was given up; --replay queues it again", dead_letters)
    parser.add_argument("--replay", type=int, nargs="+", metavar="ID", help="queue these again")


async def explain(services: Services, arguments: Namespace) -> int:
    """Print the state of the stored timeline and the reason of every entry."""
    feed = FeedServiceStub(await services.channel(FEED))
    request = ExplainFeedRequest(user_id=await services.user_id(arguments.person), page_size=arguments.entries)
    reply = await feed.ExplainFeed(request)
    if arguments.json:
        as_json(reply)
        return OK
    facts(_timeline(reply.timeline))
    print()
    table(
        ["post", "author", "created", "came by", "stamp", "policy", "fan-out took", "dropped because"],
        [_explanation(entry) for entry in reply.entries],
        empty="The feed is empty: nobody who is followed has posted.",
    )
    return OK


async def verify(services: Services, arguments: Namespace) -> int:
    """Print how many differences there are, and which; status 3 when there is one."""
    admin = FeedAdminServiceStub(await services.channel(FEED))
    reply = await admin.VerifyFeeds(
        VerifyFeedsRequest(
            user_ids=await services.user_ids(arguments.people),
            sample_size=arguments.sample,
            seed=arguments.seed,
            depth=arguments.depth,
        )
    )
    if arguments.json:
        as_json(reply)
    else:
        _print_verdict(reply)
    return FOUND_TROUBLE if _differences(reply) else OK


async def rebuild(services: Services, arguments: Namespace) -> int:
    """Rebuild and print how long each timeline is now."""
    admin = FeedAdminServiceStub(await services.channel(FEED))
    ids = await services.user_ids(arguments.people)
    reply = await admin.RebuildTimelines(RebuildTimelinesRequest(user_ids=ids))
    if arguments.json:
        as_json(reply)
    else:
        table(
            ["user", "outcome", "entries"],
            [[one.user_id, "rebuilt" if one.found else "no such user", one.entry_count] for one in reply.results],
            empty="nobody was named",
        )
    return OK if all(one.found for one in reply.results) else FOUND_TROUBLE


async def dead_letters(services: Services, arguments: Namespace) -> int:
    """List given-up fan-out chunks, or queue some again."""
    admin = FeedAdminServiceStub(await services.channel(FEED))
    if arguments.replay:
        replayed = await admin.ReplayFanOutDeadLetters(ReplayFanOutDeadLettersRequest(dead_letter_ids=arguments.replay))
        print(f"{replayed.replayed_count} queued again")
        return OK
    reply = await admin.ListFanOutDeadLetters(ListFanOutDeadLettersRequest(page_size=100))
    if arguments.json:
        as_json(reply)
    else:
        table(
            ["id", "post", "after follower", "tries", "given up", "why"],
            [
                [
                    one.dead_letter_id,
                    one.post_id,
                    one.after_follower_id,
                    one.attempt_count,
                    when(one, "dead_time"),
                    one.error,
                ]
                for one in reply.dead_letters
            ],
            empty="No fan-out was given up.",
        )
    return FOUND_TROUBLE if reply.dead_letters else OK


def _timeline(state: TimelineState) -> dict[str, object]:
    return {
        "stored timeline": f"{state.entry_count} entries" if state.exists else "none: every read is by pull",
        "floor": when(state, "floor_time"),
        "built": when(state, "build_time"),
        "last read": when(state, "last_read_time"),
        "pulled authors": state.pulled_author_count,
    }


def _explanation(entry: FeedExplanation) -> list[object]:
    return [
        entry.post_id,
        entry.author_id,
        when(entry, "create_time"),
        word(FeedEntrySource, entry.source, "FEED_ENTRY_SOURCE_"),
        word(DeliveryMode, entry.delivery_mode, "DELIVERY_MODE_"),
        entry.policy_version,
        seconds(entry, "fan_out_lag"),
        word(FeedDropRule, entry.dropped_by, "FEED_DROP_RULE_"),
    ]


def _differences(reply: VerifyFeedsResponse) -> int:
    return reply.missing_count + reply.extra_count + reply.doubled_count + reply.out_of_order_count


def _print_verdict(reply: VerifyFeedsResponse) -> None:
    facts(
        {
            "feeds checked": reply.users_checked,
            "posts checked": reply.posts_checked,
            "missing": reply.missing_count,
            "extra": reply.extra_count,
            "doubled": reply.doubled_count,
            "out of order": reply.out_of_order_count,
            "seed": reply.seed,
        }
    )
    if reply.differences:
        print()
    table(
        ["user", "post", "what is wrong"],
        [
            [one.user_id, one.post_id, word(FeedDifferenceKind, one.kind, "FEED_DIFFERENCE_KIND_")]
            for one in reply.differences
        ],
        empty="Every feed is right.",
    )
