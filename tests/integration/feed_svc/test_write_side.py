"""Around fan-out: what is given up, who is not pushed to, who is told, how posts are stamped, how is counted."""

import asyncio
import uuid

import pytest

from feed_svc import workers
from feed_svc.cache import Timelines
from feed_svc.domain import DeliveryMode
from feed_svc.usecases.build_timeline import EvictTimelines
from heliograph.events.v1 import live_events_pb2, post_events_pb2
from heliograph.feed.v1 import feed_admin_service_pb2, feed_service_pb2, graph_service_pb2, post_service_pb2
from mesh.consumer import pause_after
from mesh.errors import HeliographError
from tests.fixtures.stack import eventually
from tests.integration.feed_svc.world import World

pytestmark = pytest.mark.parametrize("redis_url", ["one server"], indirect=True)


async def give_up(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[int]]:
    """Post while pushing fails for a reason that waiting can't mend; return the post and its dead letters."""

    async def broken(self: Timelines, post_id: int, users: object) -> None:
        raise ValueError("broken")

    monkeypatch.setattr(workers, "TRIES", 2)
    monkeypatch.setattr(workers, "pause_after", lambda deliveries: pause_after(deliveries) / 20)
    with monkeypatch.context() as patched:
        patched.setattr(Timelines, "push_post", broken)
        post = await world.post(1)
        await eventually(lambda: has_dead_letters(world))
    return post, [one.dead_letter_id for one in (await dead_letters(world)).dead_letters]


async def dead_letters(world: World) -> feed_admin_service_pb2.ListFanOutDeadLettersResponse:
    request = feed_admin_service_pb2.ListFanOutDeadLettersRequest()
    return await world.call(world.faces.admin.ListFanOutDeadLetters, request, caller="cli")  # type: ignore[no-any-return]


async def has_dead_letters(world: World) -> bool:
    return bool((await dead_letters(world)).dead_letters)


async def replay(world: World, *ids: int) -> int:
    request = feed_admin_service_pb2.ReplayFanOutDeadLettersRequest(dead_letter_ids=ids)
    reply = await world.call(world.faces.admin.ReplayFanOutDeadLetters, request, caller="cli")
    return int(reply.replayed_count)


async def test_a_fan_out_that_was_given_up_is_kept_and_replayed_once(world: World, monkeypatch) -> None:
    await world.people(1, 2)
    await world.follow(2, 1)
    await world.warm(2)
    post, letters = await give_up(world, monkeypatch)
    (letter,) = (await dead_letters(world)).dead_letters
    assert (letter.post_id, letter.attempt_count, letter.error) == (post, 2, "ValueError")
    assert post not in (await world.parts.timelines.members_of(2))[0]  # type: ignore[arg-type]
    assert await replay(world, *letters) == 1
    await world.caught_up()
    assert await world.feed(2) == [post]
    assert await replay(world, *letters) == 0
    assert not await has_dead_letters(world)


async def test_an_unknown_dead_letter_is_refused(world: World) -> None:
    with pytest.raises(HeliographError) as refused:
        await replay(world, 77)
    assert refused.value.reason == "DEAD_LETTER_NOT_FOUND"


async def test_whoever_has_not_read_for_long_is_pushed_to_no_more_and_misses_nothing(world: World) -> None:
    await world.people(1, 2, 3)
    for follower in (2, 3):
        await world.follow(follower, 1)
    await world.warm(2, 3)
    before = await world.post(1)
    await world.caught_up()
    async with world.parts.store._postgres.primary() as connection:
        await connection.execute("UPDATE timelines SET last_read_time = now() - interval '31 days' WHERE user_id = 2")
    evict = EvictTimelines(world.parts.store, world.parts.timelines, 30 * 86_400.0)
    assert await evict() == 1
    assert await evict() == 0
    after = await world.post(1)
    await world.caught_up()
    assert await world.redis.exists("home:{2}") == 0
    assert (await world.parts.timelines.members_of(3))[0] == [after, before]  # type: ignore[arg-type]
    assert await world.feed(2) == await world.feed(3) == [after, before]


async def test_connected_followers_are_told_that_their_feed_has_changed(world: World) -> None:
    heard: list[live_events_pb2.LiveEvent] = []
    await world.parts.messaging.hear(
        "live.2", lambda message: heard.append(live_events_pb2.LiveEvent.FromString(message.data))
    )
    await world.people(1, 2)
    await world.follow(2, 1)
    await world.warm(2)
    posts = [await world.post(1) for _ in range(3)]
    await world.caught_up()
    await world.tell.round()
    await eventually(lambda: bool(heard))
    (notice,) = heard
    assert notice.user_id == 2
    assert (notice.feed_changed.new_post_count, notice.feed_changed.newest_post_id) == (3, posts[-1])
    await world.tell.round()
    assert len(heard) == 1


async def stamp_of(world: World, post: int) -> tuple[DeliveryMode, int]:
    found = (await world.parts.store.get_posts([post]))[post]  # type: ignore[list-item,index]
    return found.delivery_mode, found.policy_version


async def set_policy(world: World, *, threshold: int, hysteresis: int = 0, rollout: int = 100) -> int:
    request = feed_service_pb2.SetDeliveryPolicyRequest(
        pull_threshold=threshold, hysteresis_percent=hysteresis, rollout_percent=rollout, request_id=uuid.uuid4().hex
    )
    reply = await world.call(world.faces.feed.SetDeliveryPolicy, request, caller="cli")
    return int(reply.policy.version)


async def test_an_author_around_the_threshold_is_stamped_with_hysteresis_and_no_feed_notices(world: World) -> None:
    await world.people(1, 2, 3, 4, 5)
    version = await set_policy(world, threshold=3, hysteresis=50)
    stamps = []
    for step in (
        lambda: world.follow(2, 1),
        lambda: world.follow(3, 1),
        lambda: world.follow(4, 1),
        lambda: world.unfollow(4, 1),
        lambda: world.unfollow(3, 1),
        lambda: world.unfollow(2, 1),
    ):
        await step()
        stamps.append(await stamp_of(world, await world.post(1)))
    push, pull = (DeliveryMode.PUSH, version), (DeliveryMode.PULL, version)
    # Pushed again only below half of the threshold, which is 1 in whole followers.
    assert stamps == [push, push, pull, pull, pull, push]
    await world.caught_up()
    await world.parts.pulled.refresh()
    await world.follow(5, 1)
    assert await world.feed(5) == await world.oracle(5) != []


async def test_a_version_that_is_rolled_out_in_part_stamps_the_posts_of_its_authors_only(world: World) -> None:
    authors = range(1, 13)
    await world.people(*authors)
    version = await set_policy(world, threshold=0, rollout=50)
    policies = await world.parts.store.list_policies()
    for author in authors:
        mode, stamped_by = await stamp_of(world, await world.post(author))
        counts = policies[0].counts_for(author)  # type: ignore[arg-type]
        assert (mode, stamped_by) == ((DeliveryMode.PULL, version) if counts else (DeliveryMode.PUSH, 1))
    assert 0 < sum(policies[0].counts_for(author) for author in authors) < len(authors)  # type: ignore[arg-type]


async def test_the_advisor_says_what_other_thresholds_would_have_cost(world: World) -> None:
    await world.people(1, 2, 3, 4)
    for follower in (2, 3, 4):
        await world.follow(follower, 1)
    await world.follow(3, 2)
    await world.warm(2, 3, 4)
    for author, count in ((1, 4), (2, 2)):
        for _ in range(count):
            await world.post(author)
    request = feed_admin_service_pb2.AdviseDeliveryPolicyRequest(pull_thresholds=[1, 3, 10], window_days=7)
    reply = await world.call(world.faces.admin.AdviseDeliveryPolicy, request, caller="cli")
    assert [cost.pull_threshold for cost in reply.costs] == [1, 3, 10]
    assert [cost.pulled_author_count for cost in reply.costs] == [2, 1, 0]
    pushes = [cost.pushes_per_day * reply.observed_days for cost in reply.costs]
    assert pushes == pytest.approx([0, 2 * 1, 4 * 3 + 2 * 1])
    assert [cost.max_pushes_per_post for cost in reply.costs] == [0, 1, 3]
    assert [cost.pulls_per_read for cost in reply.costs] == pytest.approx([4 / 3, 3 / 3, 0])
    assert reply.current.pull_threshold == 100_000


async def test_events_and_rows_tell_the_same_history(world: World) -> None:
    """The advisor adds up rows; the stream says the same of every post, deleted ones too."""
    await world.people(1, 2)
    posts = [await world.post(1)]
    await world.follow(2, 1)
    await set_policy(world, threshold=1)
    posts.append(await world.post(1))
    posts.append(await world.post(2))
    await world.delete(1, posts[0])
    await world.caught_up()
    told: dict[int, tuple[int, int, int]] = {}
    async for batch in world.parts.messaging.read_in_order("POSTS", after=0, subject="post.created.*"):
        for received in batch:
            fact = post_events_pb2.PostCreated.FromString(received.payload)
            told[fact.post_id] = (fact.follower_count, int(fact.delivery_mode), fact.policy_version)
        if set(posts) <= set(told):
            break
    for post, row in (await world.parts.store.get_posts(posts)).items():  # type: ignore[arg-type]
        assert told[post] == (row.follower_count, int(row.delivery_mode), row.policy_version)


async def test_a_held_counter_makes_nobody_wait(world: World) -> None:
    """A giant's counters are no hot spot: while one transaction holds a row, others count on other rows."""
    fans = range(10, 26)
    await world.people(1, *fans)
    post = await world.post(1)
    like = post_service_pb2.LikePostRequest(post_id=post)
    follow = graph_service_pb2.FollowRequest(user_id=1)
    await world.call(world.faces.posts.LikePost, like, by=1)
    async with world.parts.store.transaction() as connection:
        for statement, key in (
            ("SELECT FROM like_counts WHERE post_id = %s FOR UPDATE", post),
            ("SELECT FROM user_counts WHERE user_id = %s FOR UPDATE", 1),
        ):
            await connection.execute(statement.encode(), (key,))
        # A tenth of them may draw the very row that is held: they wait.
        calls = [
            asyncio.create_task(world.call(method, request, by=fan))
            for fan in fans
            for method, request in ((world.faces.posts.LikePost, like), (world.faces.graph.Follow, follow))
        ]
        await eventually(lambda: sum(call.done() for call in calls) >= len(calls) * 3 // 4)
    await asyncio.gather(*calls)
    async with world.parts.store._postgres.primary() as connection:
        slots = await connection.execute(
            "SELECT count(*), sum(like_count) FROM like_counts WHERE post_id = %s", (post,)
        )
        count, likes = await slots.fetchone() or (0, 0)
    assert count > 1
    assert likes == len(fans) + 1
    people = await world.call(
        world.faces.graph.BatchGetUsers, graph_service_pb2.BatchGetUsersRequest(user_ids=[1]), by=1
    )
    assert people.results[0].user.follower_count == len(fans)
    assert await world.parts.store.wrong_like_counts(limit=10) == []
    assert await world.parts.store.wrong_user_counts(limit=10) == []
