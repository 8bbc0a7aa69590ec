"""Redis: a client for one server, a cluster or a primary that Sentinel watches, and server-side functions.

| address | what it opens |
| --- | --- |
| `redis://user:password@host:port/0` | one server |
| `redis://...?cluster=true` | a cluster: keys that one server-side step touches share a hash tag (`{42}`) |
| `redis+sentinel://user:password@host:port,host:port/0?primary=NAME` | the primary, as the Sentinels know it |

The Sentinels are asked with the same user and password. After a failover the next connection finds the new primary;
what the old one had not yet passed on is lost, so whoever keeps more than a cache waits for the replica (`WAIT`).

A caller for whom no connection is free waits for one, in line, up to a second (`mesh/redis_pools.py`).
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from mesh.redis_pools import WaitingCluster, WaitingPool, WaitingSentinelPool

ANSWER_SECONDS = 1.0
CONNECT_SECONDS = 1.0
SENTINEL_SCHEME = "redis+sentinel"

AnyRedis = Redis | RedisCluster
"""One server or a cluster; both speak bytes."""

TROUBLE = (RedisError, OSError, TimeoutError)
"""What a caller that can do without Redis catches."""


@dataclass(frozen=True, slots=True)
class Replicated:
    """A primary, and a reader that may be asked while the primary is away."""

    primary: AnyRedis
    replica: Redis | None
    """`None` when the address names no Sentinel."""


@asynccontextmanager
async def connect(url: str, *, pool_size: int = 64) -> AsyncIterator[AnyRedis]:
    """Open a client that answers in bytes; each call fails after a second, once retried when the connection was
    lost.
    """
    async with connect_replicated(url, pool_size=pool_size) as clients:
        yield clients.primary


@asynccontextmanager
async def connect_replicated(url: str, *, pool_size: int = 64) -> AsyncIterator[Replicated]:
    """Open clients of the primary and, where Sentinels know of one, of a replica: that one is for reads only, lags, and
    falls back to the primary when there is no replica.
    """
    options: dict[str, Any] = {
        "socket_timeout": ANSWER_SECONDS,
        "socket_connect_timeout": CONNECT_SECONDS,
        "max_connections": pool_size,
        "wait_seconds": ANSWER_SECONDS,
    }
    once_more: dict[str, Any] = {
        "retry": Retry(ExponentialBackoff(cap=0.1, base=0.02), 1),
        "retry_on_error": [RedisConnectionError],
        "health_check_interval": 15,
    }
    address = urlsplit(url)
    replica: Redis | None = None
    sentinels: list[Redis] = []
    if address.scheme == SENTINEL_SCHEME:
        watch, name = _sentinel(address, {**options, **once_more})
        sentinels = watch.sentinels
        primary: AnyRedis = watch.master_for(name, connection_pool_class=WaitingSentinelPool)
        replica = watch.slave_for(name, connection_pool_class=WaitingSentinelPool)
    elif parse_qs(address.query).get("cluster") == ["true"]:
        primary = WaitingCluster.from_url(address._replace(query="").geturl(), **options)
    else:
        primary = Redis.from_pool(WaitingPool.from_url(url, **options, **once_more))
    try:
        yield Replicated(primary, replica)
    finally:
        for client in (primary, replica, *sentinels):
            if client is not None:
                await client.aclose()


def _sentinel(address: SplitResult, options: dict[str, Any]) -> tuple[Sentinel, str]:
    """Return the Sentinels of an address, not yet asked, and the name of the primary that they watch."""
    hosts = [host.rpartition(":") for host in address.netloc.rpartition("@")[2].split(",")]
    name = parse_qs(address.query).get("primary")
    if not name:
        raise ValueError("a redis+sentinel address needs ?primary=NAME")
    user = {
        "username": unquote(address.username) if address.username else None,
        "password": unquote(address.password) if address.password else None,
    }
    asking = {"socket_timeout": ANSWER_SECONDS, "socket_connect_timeout": CONNECT_SECONDS, **user}
    watch = Sentinel(  # type: ignore[no-untyped-call]
        [(host, int(port)) for host, _, port in hosts],
        sentinel_kwargs=asking,
        **options,
        **user,
        db=int(address.path.strip("/") or 0),
    )
    return watch, name[0]


async def load_functions(client: AnyRedis, package: str, file: str) -> None:
    """Install a library of server-side functions, replacing an older version of it. Safe to repeat."""
    code = resources.files(package).joinpath(file).read_text(encoding="utf-8")
    await client.function_load(code, replace=True)


async def get_many(client: AnyRedis, keys: Sequence[str]) -> list[bytes | None]:
    """Return the values of many keys in their order, `None` for what isn't there; in a cluster from all its nodes at
    once.
    """
    if not keys:
        return []
    values: Any = await (client.mget_nonatomic(keys) if isinstance(client, RedisCluster) else client.mget(keys))
    return list(values)


__all__ = [
    "TROUBLE",
    "AnyRedis",
    "RedisTimeoutError",
    "Replicated",
    "connect",
    "connect_replicated",
    "get_many",
    "load_functions",
]
