"""F5: what one has just done shows in one's next feed, in spite of every copy.

Each of the five verbs, with a Redis that hears nothing of it, for a reader with a timeline and for one whose first page
is the one kept for half a minute. A post and a follow rest on the generation, the other three on the rules at
reading; the sabotages take these away.
"""

import asyncio

import pytest

from feed_svc.usecases import get_home_feed
from tests.integration.feed_svc.world import ON_ONE_SERVER, World

pytestmark = ON_ONE_SERVER

VERBS = ("post", "follow", "unfollow", "block", "delete")
ME, FOLLOWED, STRANGER = 1, 2, 3


@pytest.fixture(params=["timeline", "kept page"])
async def reader(world: World, request: pytest.FixtureRequest, monkeypatch) -> World:
    """1 follows 2, has posted, and has just read; Redis hears of nothing that happens from now on."""
    await world.people(ME, FOLLOWED, STRANGER)
    await world.follow(ME, FOLLOWED)
    for person in (FOLLOWED, ME, STRANGER) * 4:
        await world.post(person)
    await world.caught_up()
    await world.kill_workers()
    if request.param == "timeline":
        await world.warm(ME)
    else:
        await world.flush_redis()
        monkeypatch.setattr(type(world.parts.builders), "ask", lambda self, viewer: None)
        await world.page(ME, size=2)

    async def lost(*args, **options):
        raise ConnectionError

    for name in ("add_posts", "remove_posts", "drop"):
        monkeypatch.setattr(type(world.parts.timelines), name, lost)
    return world


async def do(world: World, verb: str) -> None:
    match verb:
        case "post":
            await world.post(ME)
        case "follow":
            await world.follow(ME, STRANGER)
        case "unfollow":
            await world.unfollow(ME, FOLLOWED)
        case "block":
            await world.block(ME, FOLLOWED)
        case "delete":
            newest = next(item.post.post_id for item in (await world.page(ME)).items if item.post.author.user_id == ME)
            await world.delete(ME, newest)


async def is_right(world: World) -> bool:
    """Whether the first page and the whole feed are what the oracle says."""
    expected = await world.oracle(ME)
    first = [item.post.post_id for item in (await world.page(ME, size=2)).items]
    return first == expected[:2] and await world.feed(ME) == expected


@pytest.mark.parametrize("verb", VERBS)
async def test_F5_the_next_feed_shows_what_one_did(reader: World, verb: str) -> None:
    before = await reader.feed(ME)
    await do(reader, verb)
    assert await is_right(reader)
    assert before != await reader.oracle(ME)


@pytest.mark.parametrize("verb", VERBS)
async def test_F5_sabotaged_the_same_check_fails(reader: World, verb: str, monkeypatch) -> None:
    async def not_bumped(self, connection, user_id):
        return await self.generation(user_id)

    monkeypatch.setattr(type(reader.parts.store), "bump_generation", not_bumped)
    monkeypatch.setattr(get_home_feed, "is_visible", lambda standing, viewer: True)
    await do(reader, verb)
    assert not await is_right(reader)


async def test_F5_writes_of_one_person_side_by_side_are_all_there(world: World) -> None:
    await world.people(ME, FOLLOWED, STRANGER)
    await world.post(FOLLOWED)
    await world.post(STRANGER)
    await world.warm(ME)
    await asyncio.gather(world.follow(ME, FOLLOWED), world.follow(ME, STRANGER), *(world.post(ME) for _ in range(5)))
    assert await is_right(world)
    assert len(await world.oracle(ME)) == 7


async def test_F5_one_after_the_other_with_a_redis_that_hears_them(world: World) -> None:
    await world.people(ME, FOLLOWED)
    theirs = await world.post(FOLLOWED)
    await world.warm(ME)
    await world.follow(ME, FOLLOWED)
    assert await world.feed(ME) == [theirs]
    mine = await world.post(ME)
    assert await world.feed(ME) == [mine, theirs]
    await world.unfollow(ME, FOLLOWED)
    assert await world.feed(ME) == [mine]
    await world.follow(ME, FOLLOWED)
    assert await world.feed(ME) == [mine, theirs]
    await world.block(ME, FOLLOWED)
    assert await world.feed(ME) == [mine]
    await world.delete(ME, mine)
    assert await world.feed(ME) == []
