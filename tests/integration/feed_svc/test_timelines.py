"""A timeline in Redis: posts in the order of their arrival, behind a mark that says what is known."""

import numpy as np

from feed_svc.cache import Timelines
from feed_svc.domain import COMPLETE, FIRST_POSITION, PostId, UserId
from tests.integration.feed_svc.world import World

ME = UserId(7)
FIRST = 28_000_000_000 << 22
LENGTH = 20


def posts(*numbers: int) -> list[PostId]:
    return [PostId(FIRST + (number << 22)) for number in numbers]


async def built(timelines: Timelines, *numbers: int, is_complete: bool = False) -> None:
    token = await timelines.open(ME, unless_generation=None)
    assert token is not None
    assert await timelines.fill(
        ME, token, posts(*numbers), is_complete=is_complete, generation=0, built_ms=1, pulled=frozenset()
    )


async def push(timelines: Timelines, *numbers: int) -> None:
    for post in posts(*numbers):
        await timelines.push_post(post, np.array([ME], dtype=np.int64))


async def shown(timelines: Timelines, *, before: PostId = FIRST_POSITION, page: int = 4) -> list[PostId]:
    """Everything that reads find above the floor, page by page."""
    found: list[PostId] = []
    while (home := await timelines.read_home(ME, before=before, limit=page)).post_ids:
        found += home.post_ids
        before = home.post_ids[-1]
    return found


async def floor_of(timelines: Timelines) -> PostId:
    mark = await timelines.mark_of(ME)
    assert mark is not None
    return mark.floor


async def test_a_timeline_that_has_grown_too_long_is_cut_and_has_no_hole(world: World) -> None:
    timelines = world.parts.timelines
    await built(timelines, *range(12, 0, -1))
    for number in range(13, 70):
        await push(timelines, number)
        floor = await floor_of(timelines)
        found = await shown(timelines, page=50)
        assert found == [post for post in posts(*range(number, 0, -1)) if post > floor]
        assert await world.redis.llen(f"home:{{{ME}}}") <= 1 + timelines.trim_beyond
        assert len(found) >= min(number - 1, LENGTH)
    assert await shown(timelines) == found == (await timelines.members_of(ME))[0]


async def test_a_post_that_comes_late_is_read_in_its_place(world: World) -> None:
    timelines = world.parts.timelines
    await built(timelines, 2, 1)
    await push(timelines, *(number for number in range(3, 60) if number not in (51, 54)), 54, 51)
    await push(timelines, *range(60, 65))
    floor = await floor_of(timelines)
    assert floor < posts(51)[0], "it has been cut above it: the test tells nothing"
    assert await shown(timelines) == [post for post in posts(*range(64, 0, -1)) if post > floor]


async def test_a_post_that_comes_later_than_it_is_kept_leaves_no_hole(world: World) -> None:
    timelines = world.parts.timelines
    await built(timelines, 40, 2, 1)
    await push(timelines, *range(41, 80), 3)
    floor = await floor_of(timelines)
    assert floor >= posts(40)[0]
    assert await shown(timelines) == [post for post in posts(*range(79, 0, -1)) if post > floor]


async def test_old_posts_of_a_new_followee_push_out_nothing_newer(world: World) -> None:
    timelines = world.parts.timelines
    await built(timelines, *range(60, 40, -1), is_complete=True)
    await timelines.add_posts(ME, posts(*range(40, 0, -1)), generation=1, floor=COMPLETE)
    found = await shown(timelines)
    assert found == posts(*range(60, 60 - len(found), -1))
    assert len(found) >= LENGTH - 1
    mark = await timelines.mark_of(ME)
    assert mark is not None
    assert (mark.generation, mark.floor) == (1, posts(40)[0])


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


async def test_one_builder_works_at_a_time(world: World) -> None:
    timelines = world.parts.timelines
    token = await timelines.open(ME, unless_generation=None)
    assert token is not None
    assert await timelines.open(ME, unless_generation=None) is None
    await timelines.drop(ME)
    assert await timelines.open(ME, unless_generation=None) not in (None, token)
    late = {"is_complete": True, "generation": 0, "built_ms": 1, "pulled": frozenset[UserId]()}
    assert not await timelines.fill(ME, token, posts(1), **late)  # type: ignore[arg-type]


async def test_a_post_is_taken_out_wherever_it_stands(world: World) -> None:
    timelines = world.parts.timelines
    await built(timelines, *range(20, 0, -1))
    await push(timelines, 15, 20)  # a repeated push
    await timelines.remove_posts(ME, posts(20, 15, 9), generation=0)
    assert await shown(timelines) == posts(*(number for number in range(19, 1, -1) if number not in (15, 9)))


async def test_a_push_makes_no_timeline_of_nothing(world: World) -> None:
    timelines = world.parts.timelines
    await push(timelines, *range(1, 20))
    home = await timelines.read_home(ME, before=FIRST_POSITION, limit=4)
    assert (home.floor, home.post_ids) == (None, ())


async def test_a_push_that_is_repeated_shows_nothing_twice(world: World) -> None:
    timelines = world.parts.timelines
    await built(timelines, *range(8, 0, -1))
    await push(timelines, *range(9, 25))
    await push(timelines, *range(12, 25))
    found = await shown(timelines)
    assert found == posts(*range(24, 24 - len(found), -1))


async def test_a_kept_page_is_out_of_date_once_anything_that_belongs_on_it_was_pushed(world: World) -> None:
    timelines = world.parts.timelines
    for late, is_kept in ((30, False), (15, False), (5, True), (16, True)):
        await timelines.drop(ME)
        await timelines.fill_page(ME, posts(20, 16, 10), generation=0)
        assert await kept_page(timelines) is None, "nobody had noted what was pushed since it was pulled"
        await timelines.open_page(ME)
        await push(timelines, late)
        await timelines.fill_page(ME, posts(20, 16, 10), generation=3)
        assert await kept_page(timelines) == ((*posts(20, 16, 10),) if is_kept else None)


async def kept_page(timelines: Timelines) -> tuple[PostId, ...] | None:
    return (await timelines.read_home(ME, before=FIRST_POSITION, limit=4)).page
