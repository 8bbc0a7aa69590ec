"""F6 and F3: fan-out outlives its workers, and authors take turns."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from feed_svc.cache import Timelines
from feed_svc.usecases import fan_out_post
from feed_svc.usecases.fan_out_post import FanOutPost
from feed_svc.workers import Workers
from tests.integration.feed_svc.world import World

GIANT, SMALL, SMALL_FOLLOWER = 1, 2, 3
FOLLOWERS = range(100, 160)
CHUNK = 10
KILLS = 20

pytestmark = pytest.mark.parametrize("redis_url", ["one server"], indirect=True)


@pytest.fixture
async def crowd(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A giant, whose followers are more than a chunk, and a small author; everybody has a timeline."""
    monkeypatch.setattr(fan_out_post, "CHUNK", CHUNK)
    await world.people(GIANT, SMALL, SMALL_FOLLOWER, *FOLLOWERS)
    for follower in FOLLOWERS:
        await world.follow(follower, GIANT)
    await world.follow(SMALL_FOLLOWER, SMALL)
    await world.warm(SMALL_FOLLOWER, *FOLLOWERS)
    async with world.parts.store._postgres.primary() as connection:
        # Half of them are reached in the second phase only.
        await connection.execute(
            "UPDATE timelines SET last_read_time = now() - interval '2 days' WHERE user_id % 2 = 0 AND user_id >= 100"
        )
    return world


async def _left_over(world: World, kill: Callable[[], Awaitable[None]], *, within: float) -> tuple[int, int]:
    """Kill the workers at random chunks of twenty fan-outs; return how many posts are missing, and how many extra."""
    draw = random.Random(20)
    posts = set()
    for _ in range(KILLS):
        posts.add(await world.post(GIANT))
        await asyncio.sleep(draw.uniform(0.005, 0.06))
        await kill()
        world.start_workers()
    has_ended = True
    try:
        await world.caught_up(within=within)
    except AssertionError:
        has_ended = False  # what is missing by that shows below
    missing = extra = 0
    for follower in FOLLOWERS:
        stored, mark = await world.parts.timelines.members_of(follower)  # type: ignore[arg-type]
        above = {post for post in posts if mark is not None and post > mark.floor}
        missing += len(above - set(stored)) + (mark is None)
        extra += len(set(stored) - posts)
    assert missing or has_ended
    return missing, extra


async def test_F6_workers_killed_at_random_chunks_cost_no_follower_a_post(crowd: World) -> None:
    assert await _left_over(crowd, crowd.kill_workers, within=30) == (0, 0)
    for follower in random.Random(1).sample(FOLLOWERS, 5):
        assert await crowd.feed(follower) == await crowd.oracle(follower)


async def test_F6_a_chunk_that_is_acknowledged_before_it_is_done_is_missed(
    crowd: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sabotage of F6: the same check finds posts missing."""
    handle = FanOutPost.handle
    running: set[asyncio.Task[None]] = set()

    async def handle_later(self: FanOutPost, chunk: object) -> None:
        running.add(asyncio.create_task(handle(self, chunk)))  # type: ignore[arg-type]

    async def kill() -> None:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await crowd.kill_workers()

    monkeypatch.setattr(FanOutPost, "handle", handle_later)
    missing, _ = await _left_over(crowd, kill, within=2)
    assert missing > 0


async def _order_of_pushes(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[list[int], list[int], int]:
    """Have three posts of a giant wait in line, then one of a small author; return who was pushed when, and these."""
    pushed: list[int] = []
    push_post = Timelines.push_post

    async def noted(self: Timelines, post_id: int, users: object) -> int:
        pushed.append(post_id)
        return await push_post(self, post_id, users)  # type: ignore[arg-type]

    await world.kill_workers()
    giants = [await world.post(GIANT) for _ in range(3)]
    small = await world.post(SMALL)
    monkeypatch.setattr(Timelines, "push_post", noted)
    world.start_workers()
    await world.caught_up()
    return pushed, giants, small


async def test_F3_a_giant_in_line_does_not_delay_a_small_author(crowd: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pushed, giants, small = await _order_of_pushes(crowd, monkeypatch)
    assert pushed.count(giants[0]) > 2 * len(FOLLOWERS) / CHUNK - 2, "the giant's post was to have many chunks"
    last = [len(pushed) - 1 - pushed[::-1].index(giant) for giant in giants]
    assert pushed.index(small) < min(last)


async def test_F3_in_one_line_for_all_a_small_author_waits(crowd: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sabotage of F3: the same order of work shows it."""
    begin, consumer = FanOutPost.begin, Workers._consumer

    async def all_at_once(self, post_id, author, mode, *, policy_version, follower_count):
        await begin(self, post_id, author, mode, policy_version=policy_version, follower_count=0)

    monkeypatch.setattr(FanOutPost, "begin", all_at_once)
    monkeypatch.setattr(Workers, "_consumer", lambda self, *rest: replace(consumer(self, *rest), concurrency=1))
    pushed, giants, small = await _order_of_pushes(crowd, monkeypatch)
    last = [len(pushed) - 1 - pushed[::-1].index(giant) for giant in giants]
    assert pushed.index(small) > min(last)
