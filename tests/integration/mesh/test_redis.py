"""mesh.redis: one server, a primary that Sentinel knows, a cluster."""

import asyncio

import pytest
from redis.exceptions import MaxConnectionsError

from mesh import redis

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
