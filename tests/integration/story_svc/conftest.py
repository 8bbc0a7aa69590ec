"""A story_svc of a test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from devstack.stack import Stack
from mesh.config import S3Config
from tests.fixtures.nats import NatsUrlOf
from tests.fixtures.postgres import NewDatabase
from tests.fixtures.redis import RedisUrlOf
from tests.integration.story_svc.world import World, open_world


@pytest.fixture
async def world(
    stack: Stack, new_database: NewDatabase, redis_url_of: RedisUrlOf, nats_url_of: NatsUrlOf, tmp_path: Path
) -> AsyncIterator[World]:
    async with open_world(
        dsn=await new_database("mesh.outbox", "story_svc"),
        redis_url=redis_url_of("story_svc"),
        nats_url=nats_url_of("story_svc"),
        s3=S3Config(
            stack.s3.endpoint, stack.state.s3_access_key, stack.state.s3_secret_key, "us-east-1", stack.s3.front
        ),
        file=tmp_path,
    ) as world:
        yield world
