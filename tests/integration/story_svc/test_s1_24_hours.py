"""S1: visible until T - 1 ms, gone at T, on every path, whatever the clocks of Redis and of the process say.

Only differences between clocks count. So the database's clock is set apart from that of the machine, which Redis, NATS
and the process go by: theirs are two hours ahead when a story ends, or two hours behind.
"""

import io
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import aiohttp
import pytest

from devstack.folder import temporary_folder
from devstack.stack import Stack
from mesh.clock import ManualClock
from mesh.config import S3Config
from mesh.objectstore import PRIVATE
from mesh.presign import Presigner
from story_svc.domain import SignedPhoto, Story
from story_svc.photos import Photos
from tests.fixtures.nats import NatsUrlOf
from tests.fixtures.postgres import NewDatabase
from tests.fixtures.stack import eventually
from tests.integration.story_svc.sightings import Sightings, ends_at, look_everywhere
from tests.integration.story_svc.skewed_redis import compiled_shim, skewed_redis
from tests.integration.story_svc.world import World, moment, open_world

MS = timedelta(milliseconds=1)
AUTHORS = range(1, 33)
VIEWER = 100
STEPS = ((-MS, True), (timedelta(0), False), (MS, False))
ROUNDS = 7


async def _watch(
    world: World,
    restart: Callable[[], Awaitable[None]],
    *,
    ahead: timedelta,
    rounds: int,
    authors: range = AUTHORS,
) -> Sightings:
    """Publish one story an author, 100 ms apart, and look at each around its end; `restart` Redis in the middle.

    `ahead` is how far the machine's clock is before the database's when the stories end.
    """
    start = (datetime.now(UTC) - timedelta(hours=24) - ahead).replace(microsecond=0)
    world.graph.follow(VIEWER, *authors)
    published = []
    for number, author in enumerate(authors):
        await world.set_clock(start + number * timedelta(milliseconds=100))
        published.append(await world.publish(author))
    await world.run_events()
    sightings = Sightings()
    for number, story in enumerate(published):
        if number == len(published) // 2:
            await restart()
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
    async def restart() -> None:
        stack.kill("redis")
        await stack.wait_ready("redis")

    sightings = await _watch(world, restart, ahead=ahead, rounds=ROUNDS)
    print(
        f"S1: {sightings.reads} reads, {sightings.addresses} addresses, {sightings.late} late, {sightings.early} early,"
        " 1 restart of Redis"
    )
    assert sightings.reads >= 5_000
    assert (sightings.late, sightings.early) == (0, 0)


@pytest.mark.parametrize("moved", [timedelta(hours=2), timedelta(hours=-2)], ids=["ahead", "behind"])
async def test_S1_a_redis_whose_own_clock_is_off_changes_nothing(
    stack: Stack, new_database: NewDatabase, nats_url_of: NatsUrlOf, moved: timedelta
):
    """The server itself lives two hours off, by a shim. Without a C compiler the database's clock is moved instead."""
    with temporary_folder("skewed") as folder:
        shim = await compiled_shim(folder)
        async with (
            skewed_redis(folder, moved if shim else timedelta(0), shim) as server,
            open_world(
                dsn=await new_database("mesh.outbox", "story_svc"),
                redis_url=server.url,
                nats_url=nats_url_of("story_svc"),
                s3=S3Config("http://127.0.0.1:9", "unused", "unused", "us-east-1", None),
                file=folder,
            ) as world,
        ):
            if shim:
                assert abs(await server.ahead() - moved) < timedelta(seconds=5)
            ahead = timedelta(0) if shim else moved
            sightings = await _watch(world, server.restart, ahead=ahead, rounds=1, authors=AUTHORS[:12])
    print(f"S1 skewed Redis: {sightings.reads} reads, {sightings.late} late, {sightings.early} early, 1 restart")
    assert server.restarts == 1
    assert sightings.reads >= 250
    assert (sightings.late, sightings.early) == (0, 0)


async def _nothing() -> None:
    """No restart."""


async def test_S1_sabotage_trusting_the_ttl_is_caught(world: World):
    """Read paths that look at no clock see a story for as long as Redis happens to hold it."""
    frozen = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    world.wire_up(clock=frozen)
    sightings = await _watch(world, _nothing, ahead=timedelta(hours=-2), rounds=1, authors=AUTHORS[:8])
    assert sightings.late > 0


class SignsTwoHoursAhead(Photos):
    """The sabotage: addresses go by another clock."""

    def sign(self, story: Story, now: datetime) -> SignedPhoto:
        return super().sign(story, now + timedelta(hours=2))


async def test_S1_sabotage_signing_by_another_clock_is_caught(world: World):
    """An address is to be had that ends hours after the five minutes that are promised."""
    world.wire_up(photos=SignsTwoHoursAhead(Presigner(world.config.s3)))
    await world.set_clock(world.clock.now())
    story = await world.publish(1)
    now = moment(story.expire_time) - timedelta(hours=2, minutes=1)
    await world.set_clock(now)
    found = (await world.get(1, story.story_id))[0]
    assert ends_at(found.photo.variants[0].url) > now + timedelta(hours=1)


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


async def test_S1_a_database_clock_that_steps_forward_ends_a_story_at_once(world: World):
    await world.set_clock(world.clock.now())
    world.graph.follow(VIEWER, 1)
    story = await world.publish(1)
    assert await world.tray_ids(VIEWER) == [story.story_id]
    await world.set_clock(moment(story.expire_time) + timedelta(hours=2))
    sightings = Sightings()
    end = moment(story.expire_time)
    await look_everywhere(world, sightings, story.story_id, author=1, viewer=VIEWER, live=False, end=end)
    assert (sightings.late, await world.delete(1, story.story_id)) == (0, end)


async def test_S1_a_database_clock_that_steps_back_brings_nothing_back(world: World):
    await world.set_clock(world.clock.now())
    story = await world.publish(1)
    await world.set_clock(moment(story.expire_time))
    assert await world.tray_ids(1) == []
    await world.set_clock(moment(story.expire_time) - timedelta(hours=2))
    assert await world.tray_ids(1) == []
