"""S1: visible until T - 1 ms, gone at T, on every path, whatever the clocks of Redis and of the process say.

Only differences between clocks count. So the database's clock is set apart from that of the machine, which Redis, NATS
and the process go by: theirs are two hours ahead when a story ends, or two hours behind.
"""

import io
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import aiohttp
import pytest

from devstack.stack import Stack
from mesh.clock import ManualClock
from mesh.objectstore import PRIVATE
from mesh.presign import Presigner
from story_svc.photos import Photos
from tests.fixtures.stack import eventually
from tests.integration.story_svc.sightings import Sightings, ends_at, look_everywhere
from tests.integration.story_svc.world import World, moment

MS = timedelta(milliseconds=1)
AUTHORS = range(1, 33)
VIEWER = 100
STEPS = ((-MS, True), (timedelta(0), False), (MS, False))
ROUNDS = 3


async def _watch(world: World, stack: Stack | None, *, ahead: timedelta, rounds: int) -> Sightings:
    """Publish one story an author, 100 ms apart, and look at each around its end; Redis is killed in the middle.

    `ahead` is how far the machine's clock is before the database's when the stories end.
    """
    start = (datetime.now(UTC) - timedelta(hours=24) - ahead).replace(microsecond=0)
    world.graph.follow(VIEWER, *AUTHORS)
    published = []
    for number, author in enumerate(AUTHORS):
        await world.set_clock(start + number * timedelta(milliseconds=100))
        published.append(await world.publish(author))
    await world.run_events()
    sightings = Sightings()
    for number, story in enumerate(published):
        if stack is not None and number == len(published) // 2:
            stack.kill("redis")
            await stack.wait_ready("redis")
        end = moment(story.expire_time)
        for step, live in STEPS:
            await world.set_clock(end + step)
            for _ in range(rounds):
                await look_everywhere(
                    world, sightings, story.story_id, author=story.author_id, viewer=VIEWER, live=live, end=end
                )
    return sightings


@pytest.mark.parametrize("ahead", [timedelta(hours=2), timedelta(hours=-2)], ids=["others ahead", "others behind"])
async def test_S1_every_path_shows_a_story_until_its_last_millisecond_and_never_after(
    world: World, stack: Stack, ahead: timedelta
):
    sightings = await _watch(world, stack, ahead=ahead, rounds=ROUNDS * 2)
    print(f"S1: {sightings.reads} reads, {sightings.late} late, {sightings.early} early, 1 restart of Redis")
    assert sightings.reads >= 5_000
    assert (sightings.late, sightings.early) == (0, 0)


async def test_S1_sabotage_trusting_the_ttl_is_caught(world: World):
    """Read paths that look at no clock see a story for as long as Redis happens to hold it."""
    frozen = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    world.wire_up(clock=frozen)
    sightings = await _watch(world, None, ahead=timedelta(hours=-2), rounds=1)
    assert sightings.late > 0


async def test_S1_sabotage_signing_by_another_clock_is_caught(world: World):
    """Addresses signed by a process clock that is two hours ahead outlive their story."""
    own_clock = ManualClock(world.clock.now() + timedelta(hours=2))
    world.wire_up(photos=Photos(Presigner(world.config.s3), own_clock))
    await world.set_clock(world.clock.now())
    story = await world.publish(1)
    await world.set_clock(moment(story.expire_time) - timedelta(hours=2, minutes=1))
    own_clock.move(timedelta(hours=24) - timedelta(hours=2, minutes=1))
    found = (await world.get(1, story.story_id))[0]
    assert ends_at(found.photo.variants[0].url) > moment(story.expire_time) - timedelta(hours=1)


async def test_S1_a_photo_s_address_dies_with_its_story_at_the_object_store(world: World, stack: Stack):
    """The store goes by the machine's clock, so here the database's is not frozen but ends the story in 3 seconds."""
    await world.shift_clock(-timedelta(hours=24) + timedelta(seconds=3))
    story = await world.publish(1)
    await world.shift_clock(timedelta(0))
    world.parts.photos._signed.clear()
    key = urlsplit(story.photo.variants[0].url).path.removeprefix(f"/{PRIVATE}/")
    stack.s3.client().put_object(PRIVATE, key, io.BytesIO(b"photo"), 5)
    url = (await world.get(1, story.story_id))[0].photo.variants[0].url
    assert ends_at(url) <= moment(story.expire_time)
    async with aiohttp.ClientSession() as http:
        async with http.get(url) as answer:
            assert answer.status == 200
            assert answer.headers["Cache-Control"] == "private, no-store"

        async def is_refused() -> bool:
            async with http.get(url) as answer:
                return answer.status == 403

        await eventually(is_refused, within=10)
        assert datetime.now(UTC) <= moment(story.expire_time) + timedelta(seconds=1.5)


async def test_S1_a_publish_repeated_after_the_end_brings_no_photo(world: World):
    upload = world.media.upload(1)
    await world.set_clock(world.clock.now())
    story = await world.publish(1, request_id="r", upload_id=upload)
    await world.set_clock(moment(story.expire_time) - MS)
    assert (await world.publish(1, request_id="r", upload_id=upload)).HasField("photo")
    await world.set_clock(moment(story.expire_time))
    again = await world.publish(1, request_id="r", upload_id=upload)
    assert again.story_id == story.story_id
    assert not again.HasField("photo")


async def test_S1_a_database_clock_that_steps_back_brings_nothing_back(world: World):
    await world.set_clock(world.clock.now())
    story = await world.publish(1)
    await world.set_clock(moment(story.expire_time))
    assert await world.tray_ids(1) == []
    await world.set_clock(moment(story.expire_time) - timedelta(hours=2))
    assert await world.tray_ids(1) == []
