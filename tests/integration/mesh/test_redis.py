"""mesh.redis: one server, a primary that Sentinel knows, a cluster."""

import asyncio
import gc

import numpy as np
import pytest
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MaxConnectionsError, ResponseError

from mesh import redis, redis_bulk

SERVICE = "feed_svc"


@pytest.fixture(params=["one server", "Sentinel", "a cluster"])
def url(request):
    makers = {
        "one server": "redis_url_of",
        "Sentinel": "redis_sentinel_url_of",
        "a cluster": "redis_cluster_url_of",
    }
    return request.getfixturevalue(makers[request.param])(SERVICE)


def blocked(client, key, seconds=0.2):
    """A command that keeps its connection for a while."""
    return client.blpop([key], timeout=seconds)


async def test_more_commands_than_connections_wait_in_line(url):
    async with redis.connect(url, pool_size=4) as client:
        assert await asyncio.gather(*(client.set(f"key:{n}", n) for n in range(200))) == [True] * 200
        assert await redis.get_many(client, [f"key:{n}" for n in range(200)]) == [b"%d" % n for n in range(200)]
        await asyncio.gather(*(client.delete(f"key:{n}") for n in range(200)))


async def test_more_pipelines_than_connections_wait_in_line(url):
    async def both(client, number):
        async with client.pipeline(transaction=False) as pipeline:
            pipeline.incr(f"count:{number % 5}")
            pipeline.incr(f"other:{number % 7}")
            await pipeline.execute()

    async with redis.connect(url, pool_size=3) as client:
        await asyncio.gather(*(both(client, n) for n in range(100)))
        counts = [int(await client.getdel(f"count:{n}")) for n in range(5)]
        others = [int(await client.getdel(f"other:{n}")) for n in range(7)]
        assert (sum(counts), sum(others)) == (100, 100)


async def test_who_waits_too_long_is_told(url, monkeypatch):
    monkeypatch.setattr(redis, "ANSWER_SECONDS", 0.5)
    async with redis.connect(url, pool_size=1) as client:
        holder = asyncio.create_task(blocked(client, "nothing", seconds=30))
        await asyncio.sleep(0)
        with pytest.raises(MaxConnectionsError):
            await client.get("key")
        holder.cancel()
        await asyncio.gather(holder, return_exceptions=True)
        assert await client.get("key") is None


async def test_callers_that_give_up_cost_no_connection(url):
    async with redis.connect(url, pool_size=2) as client:
        for _ in range(5):
            calls = [asyncio.create_task(blocked(client, "nothing")) for _ in range(6)]
            await asyncio.sleep(0.01)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        assert await asyncio.gather(*(client.set("key", 1) for _ in range(10))) == [True] * 10
        await client.delete("key")


def open_connections():
    return {id(one) for one in gc.get_objects() if isinstance(one, AbstractConnection) and one.is_connected}


async def test_what_is_under_way_when_a_client_closes_ends_and_leaves_no_connection(url):
    before = open_connections()
    async with redis.connect(url, pool_size=4) as client:
        assert await client.get("key") is None
        reads = [asyncio.create_task(client.get("key")) for _ in range(8)]
        await asyncio.sleep(0)  # one goes on with the open connection, three are about to connect, the others wait
    assert await asyncio.gather(*reads) == [None] * 8
    assert open_connections() <= before
    with pytest.raises(RedisConnectionError, match="closed"):
        await client.get("key")


async def test_a_connection_that_does_not_come_back_does_not_keep_a_client_open(redis_url_of, monkeypatch):
    monkeypatch.setattr(redis, "ANSWER_SECONDS", 0.1)
    async with asyncio.timeout(5):
        async with redis.connect(redis_url_of(SERVICE)) as client:
            held = await client.connection_pool.get_connection()
    assert not held.is_connected


async def test_requests_of_many_ids_are_answered_in_their_order(url):
    """Each by the server of its id; the first claim of a key is taken, the second is not."""
    ids = np.array([7, 123_456, 42, 99_999, 8], dtype=np.int64)
    claims = [redis_bulk.request(b"SET", b"claim:{%d}" % one, b"\r\n", b"NX", b"EX", b"60") for one in ids.tolist()]
    async with redis.connect(url) as client, redis_bulk.connect(client, url) as bulk:
        await client.set("claim:{42}", "mine")
        assert await bulk.each(ids, claims) == [b"+OK", b"+OK", b"$-1", b"+OK", b"+OK"]
        assert await bulk.each(ids, claims) == [b"$-1"] * 5
        assert await client.get("claim:{8}") == b"\r\n"
        with pytest.raises(ResponseError):
            await bulk.each(ids, [redis_bulk.request(b"HGET", b"claim:{%d}" % one, b"x") for one in ids.tolist()])
        assert await bulk.each(ids[:1], [redis_bulk.request(b"DEL", b"claim:{7}")]) == [b":1"]
        await asyncio.gather(*(client.delete(f"claim:{{{one}}}") for one in ids.tolist()))
