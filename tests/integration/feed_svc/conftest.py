"""A feed_svc of a test's own: on one Redis server, and where keys and slots matter on a cluster too.

With `REDIS=cluster` in the environment every test of the folder runs on the cluster.
"""

import os
from collections.abc import AsyncIterator

import pytest

from tests.fixtures.nats import NatsUrlOf
from tests.fixtures.postgres import NewDatabase
from tests.integration.feed_svc.world import World, open_world


@pytest.fixture(params=["one server", "a cluster"])
def redis_url(request: pytest.FixtureRequest) -> str:
    """Address of an empty Redis of either kind."""
    is_cluster = request.param == "a cluster" or os.environ.get("REDIS") == "cluster"
    kind = "redis_cluster_url_of" if is_cluster else "redis_url_of"
    url: str = request.getfixturevalue(kind)("feed_svc")
    return url


@pytest.fixture
async def world(new_database: NewDatabase, redis_url: str, nats_url_of: NatsUrlOf) -> AsyncIterator[World]:
    async with open_world(
        dsn=await new_database("mesh.outbox", "feed_svc"),
        redis_url=redis_url,
        nats_url=nats_url_of("feed_svc"),
        timeline_length=20,
    ) as world:
        # A busy machine must not turn a read into one without Redis: some tests are about what Redis says.
        world.parts.get_home_feed.redis_breaker._call_seconds = 10.0
        world.parts.get_home_feed.postgres_breaker._call_seconds = 10.0
        world.start_workers()
        yield world
