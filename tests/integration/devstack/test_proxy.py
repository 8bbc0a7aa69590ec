"""The proxy between a client and a server misbehaves as it is told, and behaves again after `heal`."""

import asyncio
import time

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from devstack.faults import TcpProxy, flush_redis
from devstack.stack import Stack
from tests.fixtures.stack import state_folder
from tests.integration.devstack.fakes import FAKE


@pytest.fixture
async def proxy(stack):
    """A proxy before Redis."""
    async with TcpProxy(stack.redis.address) as running:
        yield running


@pytest.fixture
async def client(stack, proxy, redis_url_of):
    """A client that goes through the proxy and doesn't retry."""
    url = redis_url_of("feed_svc").replace(stack.redis.address, proxy.address)
    async with Redis.from_url(url, socket_timeout=0.3, retry=None, single_connection_client=True) as connected:
        yield connected


async def test_what_it_is_not_told_to_break_works(client, proxy):
    assert await client.set("key", b"x" * 1_000_000)
    assert await client.get("key") == b"x" * 1_000_000
    assert proxy.connections == 1


async def test_cut_resets_open_connections_and_takes_new_ones(client, proxy):
    await client.ping()
    proxy.cut()
    with pytest.raises((RedisConnectionError, OSError)):
        await client.ping()
    assert await client.ping()


async def test_refuse_resets_until_healed(client, proxy):
    proxy.refuse()
    with pytest.raises((RedisConnectionError, OSError)):
        await client.ping()
    proxy.heal()
    assert await client.ping()


async def test_delay_holds_both_directions_back(client, proxy):
    await client.ping()
    proxy.delay(0.1)
    began = time.monotonic()
    await client.ping()
    assert time.monotonic() - began >= 0.2


async def test_a_black_hole_answers_nothing_and_lets_go_what_it_swallowed(client, proxy):
    await client.ping()
    proxy.black_hole()
    waiting = asyncio.create_task(client.set("key", "swallowed"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting), 0.1)
    proxy.heal()
    assert await waiting


async def test_cut_mid_reply_loses_the_answer_but_not_the_write(client, proxy):
    await client.ping()
    proxy.cut_mid_reply(after_bytes=2)
    with pytest.raises((RedisConnectionError, OSError)):
        await client.set("key", "written")
    assert await client.get("key") == b"written"


async def test_services_reach_a_proxied_server_by_way_of_the_proxy():
    with state_folder() as folder:
        async with Stack(folder, services=[FAKE], servers=["redis"], proxies=["redis", "feed_svc"]) as stack:
            environment = stack.state.environment("fake_svc.serve")
            assert stack.proxy("redis").address in environment["HELIOGRAPH_REDIS_URL"]
            assert environment["HELIOGRAPH_FEED_ADDRESS"] == stack.proxy("feed_svc").address
            async with Redis.from_url(environment["HELIOGRAPH_REDIS_URL"]) as through:
                await through.set("key", "value")
                await flush_redis(stack.redis.admin_url())
                assert await through.get("key") is None
            assert stack.proxy("redis").connections == 1
