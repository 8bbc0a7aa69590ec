"""A timeline in Redis: the set of its newest posts, the shelf of older ones, the floor below both."""

import numpy as np

from feed_svc.cache import Timelines
from feed_svc.domain import FIRST_POSITION, PostId, UserId, place_of
from tests.integration.feed_svc.world import World

ME = UserId(7)
FIRST = 28_000_000_000 << 22
LENGTH = 20


def posts(*numbers: int) -> list[PostId]:
    return [PostId(FIRST + (number << 22)) for number in numbers]


async def built(timelines: Timelines, *numbers: int) -> None:
    token = await timelines.open(ME, unless_generation=None)
    assert token is not None
    assert await timelines.fill(
        ME, token, posts(*numbers), is_complete=False, generation=0, built_ms=1, pulled=frozenset()
    )


async def push(timelines: Timelines, *numbers: int) -> None:
    for post in posts(*numbers):
        await timelines.push_post(post, np.array([ME], dtype=np.int64), check_length=True)


async def shown(timelines: Timelines, *, before: PostId = FIRST_POSITION, page: int = 4) -> list[PostId]:
    """Everything that reads find above the floor, page by page."""
    found: list[PostId] = []
    while (home := await timelines.read_home(ME, before=before, limit=page)).post_ids:
        found += home.post_ids
        before = home.post_ids[-1]
    return found


async def test_what_is_pushed_beyond_a_set_is_read_from_the_shelf(world: World) -> None:
    timelines = world.parts.timelines
    await built(timelines, *range(12, 0, -1))
    await push(timelines, *range(13, 40))
    found = await shown(timelines)
    floor = await timelines.floor_of(ME)
    assert floor is not None
    assert found == [post for post in posts(*range(39, 0, -1)) if place_of(post) > floor]
    assert LENGTH - timelines.piece_length <= len(found) <= LENGTH + timelines.piece_length
    assert await world.redis.zcard(f"tl:{{{ME}}}") <= timelines.fold_beyond + 1
    assert (await timelines.members_of(ME))[0][: len(found)] == found


async def test_a_post_that_comes_late_is_read_in_its_place(world: World) -> None:
    timelines = world.parts.timelines
    numbers = [number for number in range(1, 60) if number % 3]
    await built(timelines, *range(2, 0, -1))
    late = posts(51, 54)
    for number in numbers:
        await push(timelines, number)
    await timelines.add_posts(ME, late, generation=1)
    await push(timelines, *range(60, 65))
    floor = await timelines.floor_of(ME)
    assert floor is not None
    assert place_of(late[0]) > floor, "the shelf has been cut above it: the test tells nothing"
    expected = sorted([*posts(*numbers, *range(60, 65)), *late], reverse=True)
    assert await shown(timelines) == [post for post in expected if place_of(post) > floor]


async def test_pushes_while_a_timeline_is_built_stay(world: World) -> None:
    timelines = world.parts.timelines
    token = await timelines.open(ME, unless_generation=None)
    assert token is not None
    await push(timelines, *range(20, 40))
    assert not (await timelines.read_home(ME, before=FIRST_POSITION, limit=4)).is_usable
    await timelines.fill(
        ME, token, posts(*range(19, 0, -1)), is_complete=True, generation=0, built_ms=1, pulled=frozenset()
    )
    assert await shown(timelines) == posts(*range(39, 0, -1))


async def test_a_post_is_taken_out_of_set_and_shelf(world: World) -> None:
    timelines = world.parts.timelines
    await built(timelines, *range(20, 0, -1))
    await timelines.remove_posts(ME, posts(20, 15, 9), generation=0)
    assert await shown(timelines) == posts(*(number for number in range(19, 1, -1) if number not in (15, 9)))


async def test_a_push_makes_no_timeline_of_nothing(world: World) -> None:
    timelines = world.parts.timelines
    await push(timelines, *range(1, 20))
    home = await timelines.read_home(ME, before=FIRST_POSITION, limit=4)
    assert (home.floor, home.post_ids) == (None, ())


async def test_a_push_that_is_repeated_doubles_nothing(world: World) -> None:
    timelines = world.parts.timelines
    await built(timelines, *range(8, 0, -1))
    await push(timelines, *range(9, 25))
    await push(timelines, *range(12, 25))
    found = await shown(timelines)
    assert found == posts(*range(24, 24 - len(found), -1))
