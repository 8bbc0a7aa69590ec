"""Two doings at once, in the order that would hurt."""

import asyncio

import pytest

from tests.integration.feed_svc.world import World


@pytest.fixture
async def fan(world: World) -> World:
    """2 has a timeline with a post of 1, whom 2 follows; no worker runs."""
    await world.people(1, 2)
    await world.follow(2, 1)
    await world.post(1)
    await world.caught_up()
    await world.warm(2)
    await world.kill_workers()
    return world


def after(monkeypatch, asked, name, then):
    """Have something happen once, right after a method of the store, or of Redis' side, has had its answer."""
    real = getattr(type(asked), name)

    async def answered(self, *args, **options):
        answer = await real(self, *args, **options)
        monkeypatch.setattr(type(asked), name, real)
        await then()
        return answer

    monkeypatch.setattr(type(asked), name, answered)


async def test_F1_a_purge_that_is_late_removes_nothing_of_a_new_follow(fan: World, monkeypatch) -> None:
    async def follow_again():
        await fan.follow(2, 1)

    after(monkeypatch, fan.parts.store, "relations", follow_again)
    await fan.unfollow(2, 1)
    assert await fan.feed(2) == await fan.oracle(2) != []


async def test_F1_a_repair_that_is_late_removes_nothing_of_a_new_follow(fan: World, monkeypatch) -> None:
    async def lost(*args, **options):
        raise ConnectionError

    async def follow_again():
        await fan.follow(2, 1)

    with monkeypatch.context() as patched:
        patched.setattr(type(fan.parts.timelines), "remove_posts", lost)
        await fan.unfollow(2, 1)
    after(monkeypatch, fan.parts.store, "standings", follow_again)
    await fan.page(2)
    assert await fan.feed(2) == await fan.oracle(2) != []


async def test_F1_a_follow_while_the_timeline_is_built_is_not_forgotten(world: World, monkeypatch) -> None:
    await world.people(1, 2)
    await world.post(1)
    has_read, may_finish = asyncio.Event(), asyncio.Event()

    async def stand_still():
        has_read.set()
        await may_finish.wait()

    async def finish():
        may_finish.set()
        await build

    after(monkeypatch, world.parts.store, "pull_feed", stand_still)
    build = asyncio.create_task(world.parts.build(2))  # type: ignore[arg-type]
    await has_read.wait()
    after(monkeypatch, world.parts.timelines, "mark_of", finish)
    await world.follow(2, 1)
    assert await world.feed(2) == await world.oracle(2) != []
