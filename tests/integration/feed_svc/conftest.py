"""A feed_svc of a test's own."""

from collections.abc import AsyncIterator

import pytest

from tests.fixtures.nats import NatsUrlOf
from tests.fixtures.postgres import NewDatabase
from tests.fixtures.redis import RedisUrlOf
from tests.integration.feed_svc.world import World, open_world


@pytest.fixture
async def world(new_database: NewDatabase, redis_url_of: RedisUrlOf, nats_url_of: NatsUrlOf) -> AsyncIterator[World]:
    async with open_world(
        dsn=await new_database("mesh.outbox", "feed_svc"),
        redis_url=redis_url_of("feed_svc"),
        nats_url=nats_url_of("feed_svc"),
        timeline_length=20,
    ) as world:
        world.start_workers()
        yield world
