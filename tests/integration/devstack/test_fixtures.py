"""Tests are kept apart from each other."""

import io

import aiohttp
import nats
import psycopg
import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from devstack.settings import PHOTOS_BUCKET, PRIVATE_BUCKET

TWICE = pytest.mark.parametrize("time_around", ["first", "second"])


@TWICE
async def test_each_test_has_a_migrated_database_of_its_own(new_database, time_around):
    dsn = await new_database("mesh.outbox", owner="feed_svc")
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        row = await (await connection.execute("SELECT count(*), current_user FROM outbox")).fetchone()
        assert row == (0, "feed_svc")
        await connection.execute("CREATE TABLE mine (id int)")


@TWICE
async def test_each_test_has_an_empty_redis(redis_url_of, time_around):
    async with Redis.from_url(redis_url_of("feed_svc")) as client:
        assert await client.get("key") is None
        await client.set("key", "value")
        with pytest.raises(NoPermissionError):
            await client.flushall()


@TWICE
async def test_each_test_finds_no_stream(nats_url_of, time_around):
    client = await nats.connect(nats_url_of("dm_svc"))
    try:
        assert await client.jetstream().streams_info() == []
        await client.jetstream().add_stream(name="LEFT", subjects=["left.>"])
    finally:
        await client.close()


@TWICE
async def test_each_test_finds_empty_buckets(stack, s3, time_around):
    client = stack.s3.client()
    for bucket in (PHOTOS_BUCKET, PRIVATE_BUCKET):
        assert list(client.list_objects(bucket, recursive=True)) == []
        client.put_object(bucket, "a/photo", _bytes(), 3)


async def test_only_photos_of_posts_can_be_read_by_anyone(stack, s3):
    client = stack.s3.client()
    statuses = {}
    async with aiohttp.ClientSession() as session:
        for bucket in (PHOTOS_BUCKET, PRIVATE_BUCKET):
            client.put_object(bucket, "a/photo", _bytes(), 3)
            for path in ("a/photo", ""):
                async with session.get(f"{s3.endpoint}/{bucket}/{path}") as response:
                    statuses[bucket, path] = response.status
            async with session.put(f"{s3.endpoint}/{bucket}/mine", data=b"x") as response:
                statuses[bucket, "put"] = response.status
    readable = {place for place, status in statuses.items() if status == 200}
    assert readable == {(PHOTOS_BUCKET, "a/photo")}, statuses


def _bytes():
    return io.BytesIO(b"abc")
