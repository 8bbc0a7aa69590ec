"""What staff may do: explain a feed, compare it with the oracle, build it anew, set the policy, evict."""

import asyncio
import uuid

import pytest
from prometheus_client import REGISTRY

from feed_svc.usecases.build_timeline import EvictTimelines
from heliograph.feed.v1 import feed_admin_service_pb2, feed_service_pb2
from heliograph.feed.v1.feed_admin_service_pb2 import FeedDifferenceKind
from heliograph.feed.v1.feed_service_pb2 import FeedDropRule, FeedEntrySource
from mesh.errors import HeliographError
from tests.integration.feed_svc.world import ON_ONE_SERVER, World

pytestmark = ON_ONE_SERVER


async def explained(world: World, user: int, **options) -> feed_service_pb2.ExplainFeedResponse:
    request = feed_service_pb2.ExplainFeedRequest(user_id=user, **options)
    return await world.call(world.faces.feed.ExplainFeed, request, caller="cli")


def reasons(reply) -> dict[int, str]:
    """Post -> how it came, or why it was dropped."""
    return {
        entry.post_id: (
            FeedDropRule.Name(entry.dropped_by).removeprefix("FEED_DROP_RULE_")
            if entry.dropped_by
            else FeedEntrySource.Name(entry.source).removeprefix("FEED_ENTRY_SOURCE_")
        )
        for entry in reply.entries
    }


async def test_every_way_into_a_feed_and_out_of_it_is_explained(world: World, monkeypatch) -> None:
    await world.people(1, 2, 3, 4, 5, 6)
    below = [await world.post(2) for _ in range(25)]
    await world.follow(1, 2)
    await world.follow(1, 5)
    left = await world.post(5)
    await world.caught_up()
    await world.warm(1)
    pushed = await world.post(2)
    mine = await world.post(1)
    backfilled = await world.post(3)
    await world.caught_up()
    await world.follow(1, 3)
    deleted = await world.post(2)
    await world.caught_up()

    async def lost(*args, **options):
        raise ConnectionError

    monkeypatch.setattr(type(world.parts.timelines), "remove_posts", lost)
    await world.kill_workers()
    await world.delete(2, deleted)
    await world.unfollow(1, 5)
    await world.threshold(0)
    await world.follow(1, 4)
    pulled = await world.post(4)
    await world.parts.pulled.refresh()
    reply = await explained(world, 1)
    assert reasons(reply) == {
        pulled: "PULLED",
        deleted: "DELETED",
        backfilled: "BACKFILLED",
        mine: "OWN",
        pushed: "PUSHED",
        left: "NOT_FOLLOWED",
        **dict.fromkeys(below[:6], "BELOW_FLOOR"),
        **dict.fromkeys(below[6:], "REBUILT"),
    }
    assert [entry.post_id for entry in reply.entries] == sorted(reasons(reply), reverse=True)
    assert reply.timeline.exists
    assert reply.timeline.pulled_author_count == 1
    assert next(entry for entry in reply.entries if entry.post_id == pulled).policy_version == 2
    await world.block(1, 3)
    assert reasons(await explained(world, 1))[backfilled] == "BLOCKED"


async def test_an_explanation_comes_in_pages_and_changes_nothing(world: World) -> None:
    await world.people(1, 2)
    await world.follow(1, 2)
    posts = [await world.post(2) for _ in range(5)]
    await world.caught_up()
    first = await explained(world, 1, page_size=3)
    second = await explained(world, 1, page_size=3, page_token=first.next_page_token)
    found = [entry.post_id for page in (first, second) for entry in page.entries]
    assert found == posts[::-1]
    assert not second.next_page_token
    assert not first.timeline.exists  # and none was made by asking
    for user, options, reason in ((99, {}, "USER_NOT_FOUND"), (1, {"page_size": 301}, "PAGE_SIZE_INVALID")):
        with pytest.raises(HeliographError) as refused:
            await explained(world, user, **options)
        assert refused.value.reason == reason


async def verified(world: World, *users: int, **options) -> feed_admin_service_pb2.VerifyFeedsResponse:
    request = feed_admin_service_pb2.VerifyFeedsRequest(user_ids=users, **options)
    return await world.call(world.faces.admin.VerifyFeeds, request, caller="cli")


def gauge() -> float:
    return REGISTRY.get_sample_value("feed_verify_last_differences") or 0.0


async def test_a_hole_is_found_by_command_and_in_the_background_and_mended_by_a_rebuild(world: World) -> None:
    await world.people(*range(1, 7))
    for person in range(2, 7):
        await world.follow(1, person)
    posts = [await world.post(person) for person in range(2, 7)]
    await world.caught_up()
    await world.warm(1, 2)
    background = world.faces.admin.verify_feeds
    await background.in_background()
    assert gauge() == 0
    assert (await verified(world, sample_size=6)).users_checked == 6
    mark = await world.parts.timelines.mark_of(1)  # type: ignore[arg-type]
    assert mark is not None
    await world.parts.timelines.remove_posts(1, [posts[2]], generation=mark.generation)  # type: ignore[arg-type, list-item]
    reply = await verified(world, sample_size=6, seed=7)
    assert (reply.missing_count, reply.extra_count, reply.doubled_count, reply.out_of_order_count) == (1, 0, 0, 0)
    assert [(one.user_id, one.post_id, one.kind) for one in reply.differences] == [
        (1, posts[2], FeedDifferenceKind.FEED_DIFFERENCE_KIND_MISSING)
    ]
    assert reply.seed == 7
    await background.in_background()
    assert gauge() == 1
    request = feed_admin_service_pb2.RebuildTimelinesRequest(user_ids=[1, 99])
    rebuilt = await world.call(world.faces.admin.RebuildTimelines, request, caller="cli")
    assert [(one.user_id, one.found, one.entry_count) for one in rebuilt.results] == [(1, True, 5), (99, False, 0)]
    assert (await verified(world, 1)).missing_count == 0
    await background.in_background()
    assert gauge() == 0


async def test_a_seed_draws_the_same_people_again(world: World) -> None:
    await world.people(*range(1, 31))
    drawn = [await world.parts.store.draw_users(seed=seed, limit=5) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("users", "options", "reason"),
    [
        ([1, 99], {}, "USER_NOT_FOUND"),
        ([1] * 501, {}, "BATCH_TOO_LARGE"),
        ([], {"sample_size": 501}, "PAGE_SIZE_INVALID"),
        ([1], {"depth": 1001}, "PAGE_SIZE_INVALID"),
        ([1], {"page_token": "x"}, "PAGE_TOKEN_INVALID"),
    ],
)
async def test_a_comparison_that_makes_no_sense_is_refused(world: World, users, options, reason: str) -> None:
    await world.people(1)
    with pytest.raises(HeliographError) as refused:
        await verified(world, *users, **options)
    assert refused.value.reason == reason


async def set_policy(world: World, **fields):
    request = feed_service_pb2.SetDeliveryPolicyRequest(**{"request_id": uuid.uuid4().hex, **fields})
    return (await world.call(world.faces.feed.SetDeliveryPolicy, request, caller="cli")).policy


async def get_policy(world: World, version: int = 0):
    request = feed_service_pb2.GetDeliveryPolicyRequest(version=version)
    return (await world.call(world.faces.feed.GetDeliveryPolicy, request, caller="cli")).policy


async def test_of_two_who_set_the_policy_at_once_one_is_told(world: World) -> None:
    outcomes = await asyncio.gather(
        *(set_policy(world, pull_threshold=n, expected_version=1) for n in (10, 20, 30)), return_exceptions=True
    )
    made = [one for one in outcomes if not isinstance(one, BaseException)]
    refused = [one for one in outcomes if isinstance(one, HeliographError)]
    assert [one.version for one in made] == [2]
    assert [(one.reason, one.metadata["version"]) for one in refused] == [("POLICY_VERSION_CONFLICT", "2")] * 2
    newest = await get_policy(world)
    assert (newest.version, newest.pull_threshold, newest.hysteresis_percent) == (2, made[0].pull_threshold, 10)
    assert (await get_policy(world, 1)).pull_threshold == 100_000


async def test_a_repeated_change_of_the_policy_is_one_change(world: World) -> None:
    key = uuid.uuid4().hex
    first = await set_policy(world, pull_threshold=5, request_id=key)
    await set_policy(world, rollout_percent=50)
    assert await set_policy(world, pull_threshold=5, request_id=key) == first
    for fields, reason in (
        ({"pull_threshold": 6, "request_id": key}, "IDEMPOTENCY_KEY_REUSED"),
        ({"pull_threshold": -1}, "POLICY_INVALID"),
        ({"rollout_percent": 101}, "POLICY_INVALID"),
        ({"note": "a\0b"}, "POLICY_INVALID"),
        ({"request_id": ""}, "REQUEST_ID_INVALID"),
    ):
        with pytest.raises(HeliographError) as refused:
            await set_policy(world, **fields)
        assert refused.value.reason == reason
    with pytest.raises(HeliographError) as refused:
        await get_policy(world, 9)
    assert refused.value.reason == "POLICY_NOT_FOUND"


async def test_a_timeline_that_nobody_has_read_for_long_goes_and_comes_back_with_the_next_read(world: World) -> None:
    await world.people(1, 2, 3)
    for reader in (1, 2):
        await world.follow(reader, 3)
    post = await world.post(3)
    await world.caught_up()
    await world.warm(1, 2)
    async with world.parts.store.transaction() as connection:
        await connection.execute("UPDATE timelines SET last_read_time = now() - interval '31 days' WHERE user_id = 1")
    evict = EvictTimelines(world.parts.store, world.parts.timelines, 30 * 86_400.0)
    assert await evict() == 1
    assert await world.parts.timelines.mark_of(1) is None  # type: ignore[arg-type]
    assert await world.parts.timelines.mark_of(2) is not None  # type: ignore[arg-type]
    newer = await world.post(3)
    await world.caught_up()
    assert await world.feed(1) == await world.feed(2) == [newer, post]
    assert await evict() == 0


async def test_a_read_after_an_hour_keeps_a_timeline_from_being_evicted(world: World) -> None:
    await world.people(1, 2)
    await world.follow(1, 2)
    await world.post(2)
    await world.caught_up()
    await world.warm(1)
    async with world.parts.store.transaction() as connection:
        await connection.execute("UPDATE timelines SET last_read_time = now() - interval '31 days'")
    await world.redis.expire("home:{1}", 3600)
    await world.page(1, size=1)
    assert await EvictTimelines(world.parts.store, world.parts.timelines, 30 * 86_400.0)() == 0
    assert await world.redis.ttl("home:{1}") > 30 * 86_400
