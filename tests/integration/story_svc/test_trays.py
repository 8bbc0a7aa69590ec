"""A tray is the same by every way in which Redis may be asked for it: in one step, in several, and in a cluster."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mesh.config import S3Config
from story_svc.cache.trays import BYTES_AT_ONCE
from tests.fixtures.nats import NatsUrlOf
from tests.fixtures.postgres import NewDatabase
from tests.fixtures.redis import RedisUrlOf
from tests.integration.story_svc.world import World, open_world

VIEWER = 2**62
CLOSE = (VIEWER + 1, VIEWER + 2)
"""Ids that are one and the same number to whoever counts in doubles."""
PUBLISHING = (5, 37, 64, *CLOSE)
"""Authors of a few shards, two of them sharing one."""
MANY = range(100_000, 100_000 + BYTES_AT_ONCE // 9 + 1)
"""More people than one step reads the reels of."""


@pytest.fixture
async def clustered_world(
    new_database: NewDatabase, redis_cluster_url_of: RedisUrlOf, nats_url_of: NatsUrlOf, tmp_path: Path
) -> AsyncIterator[World]:
    async with open_world(
        dsn=await new_database("mesh.outbox", "story_svc"),
        redis_url=redis_cluster_url_of("story_svc"),
        nats_url=nats_url_of("story_svc"),
        s3=S3Config("http://127.0.0.1:9", "unused", "unused", "us-east-1", None),
        file=tmp_path,
    ) as world:
        assert world.parts.cache.server.is_cluster
        yield world


async def _live_through(world: World, followees: tuple[int, ...]) -> None:
    """Publish, see, delete and unfollow, and look at the tray before and after Redis knows."""

    async def shown() -> list[int]:
        cold, warm = await world.tray_ids(VIEWER), await world.tray_ids(VIEWER)
        assert cold == warm
        return warm

    world.graph.follow(VIEWER, *followees)
    assert await shown() == []
    own = await world.publish(VIEWER)
    stories = [await world.publish(author) for author in PUBLISHING]
    await world.publish(CLOSE[1] + 1)  # whom nobody follows
    newest_first = [story.story_id for story in reversed(stories)]
    assert await shown() == [own.story_id, *newest_first]
    await world.mark_seen(VIEWER, newest_first[0])
    assert await shown() == [own.story_id, *newest_first[1:], newest_first[0]]
    await world.delete(stories[0].author_id, stories[0].story_id)
    assert await shown() == [own.story_id, *newest_first[1:-1], newest_first[0]]
    world.graph.followees[VIEWER].remove(CLOSE[1])
    await world.workers.drop_followees(VIEWER)
    assert await shown() == [own.story_id, *newest_first[1:-1]]


async def test_a_tray_in_one_step(world: World):
    await _live_through(world, PUBLISHING)


async def test_a_tray_of_more_authors_than_one_step_reads(world: World):
    await _live_through(world, (*PUBLISHING, *MANY))


async def test_a_tray_in_a_cluster(clustered_world: World):
    await _live_through(clustered_world, (*PUBLISHING, *range(100, 400)))
