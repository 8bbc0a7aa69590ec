"""Redis: a client for one server or a cluster, and server-side functions.

A URL with `?cluster=true` opens a cluster client; keys that one server-side step touches share a hash tag (`{42}`),
so the same code serves both.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, urlsplit

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

ANSWER_SECONDS = 1.0
CONNECT_SECONDS = 1.0

AnyRedis = Redis | RedisCluster
"""One server or a cluster; both speak bytes."""

TROUBLE = (RedisError, OSError, TimeoutError)
"""What a caller that can do without Redis catches."""


@asynccontextmanager
async def connect(url: str, *, pool_size: int = 64) -> AsyncIterator[AnyRedis]:
    """Open a client that answers in bytes; each call fails after a second, once retried when the connection was
    lost.
    """
    options: dict[str, Any] = {
        "socket_timeout": ANSWER_SECONDS,
        "socket_connect_timeout": CONNECT_SECONDS,
        "max_connections": pool_size,
    }
    address = urlsplit(url)
    if parse_qs(address.query).get("cluster") == ["true"]:
        client: AnyRedis = RedisCluster.from_url(address._replace(query="").geturl(), **options)
    else:
        retry = Retry(ExponentialBackoff(cap=0.1, base=0.02), 1)
        client = Redis.from_url(
            url, retry=retry, retry_on_error=[RedisConnectionError], health_check_interval=15, **options
        )
    try:
        yield client
    finally:
        await client.aclose()


async def load_functions(client: AnyRedis, package: str, file: str) -> None:
    """Install a library of server-side functions, replacing an older version of it. Safe to repeat."""
    code = resources.files(package).joinpath(file).read_text(encoding="utf-8")
    await client.function_load(code, replace=True)


__all__ = ["TROUBLE", "AnyRedis", "RedisTimeoutError", "connect", "load_functions"]
