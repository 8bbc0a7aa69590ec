"""The servers behind the cache: the primary, asked with care, and the replica for when it is away."""

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from prometheus_client import Counter
from redis.asyncio import RedisCluster
from redis.exceptions import ResponseError

from mesh import redis
from mesh.redis import TROUBLE, AnyRedis, Replicated
from mesh.telemetry import get_logger

LEASE_MS = 5_000
"""Longer than any load from Postgres may take."""
PRIMARY_SECONDS = 0.25
"""How long a read waits for the primary, which answers within a few milliseconds: Postgres knows as well."""
PRIMARY_REST_SECONDS = 0.2
"""How long the primary is left alone after it failed to answer, so that reads don't each wait for it."""

READ_TRAY, READ_LINES, PEEK, FILL = (f"heliograph_story_{name}" for name in ("read_tray", "read_lines", "peek", "fill"))
"""The functions of lua/leases.lua."""

Call = tuple[Sequence[bytes], bytes | int]
"""Keys, and the argument that says what to read of them."""

T = TypeVar("T")
_log = get_logger(__name__)
_reads = Counter("story_cache_reads", "Reads of the leased hashes by what answered", ["source"])


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to fill what was missing, until somebody forgets it; without a token nothing can be filled."""

    token: str | None


def life_ms(at_most_ms: int) -> int:
    """Return how long a field is kept, by lot a little shorter: what is filled together isn't missed together."""
    return at_most_ms - random.randrange(at_most_ms // 4)  # noqa: S311 - nothing secret


class Server:
    """Redis, as the parts of the cache see it."""

    def __init__(self, clients: Replicated) -> None:
        self.primary = clients.primary
        self.replica = clients.replica
        self._primary_rests_until = 0.0

    @property
    def is_cluster(self) -> bool:
        """Whether the keys of one call must be of one slot."""
        return isinstance(self.primary, RedisCluster)

    async def load_functions(self) -> None:
        """Install the server-side functions; safe to repeat."""
        await redis.load_functions(self.primary, "story_svc", "lua/leases.lua")

    async def ping(self) -> None:
        """Raise unless the primary answers."""
        await self.primary.ping()

    async def read(self, function: str, calls: Sequence[Call]) -> tuple[list[Any], Lease]:
        """Read fields of several hashes on the primary in one round trip, with leases for those that are missing."""
        token = secrets.token_hex(8)

        async def read() -> list[Any]:
            if len(calls) == 1:  # without the cost of a pipeline
                keys, wanted = calls[0]
                return [await self.primary.fcall(function, len(keys), *keys, token, LEASE_MS, wanted)]
            async with self.primary.pipeline(transaction=False) as pipeline:
                for keys, wanted in calls:
                    pipeline.fcall(function, len(keys), *keys, token, LEASE_MS, wanted)
                return await pipeline.execute()

        return await self.ask_primary(lambda: self._with_functions(read)), Lease(token)

    async def either(self, read: Callable[[AnyRedis], Awaitable[T]]) -> T:
        """Return what the primary answers, or else the replica: for what does not change."""
        try:
            return await self.ask_primary(lambda: read(self.primary))
        except TROUBLE:
            if self.replica is None:
                raise
        return await self.ask_replica(read)

    async def ask_replica(self, call: Callable[[AnyRedis], Awaitable[T]]) -> T:
        """Call the replica, which may not know the latest."""
        if self.replica is None:
            raise redis.RedisTimeoutError("there is no replica")
        answer = await call(self.replica)
        _reads.labels("replica").inc()
        return answer

    async def ask_primary(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call the primary, unless it has just failed to answer: then raise at once."""
        if time.monotonic() < self._primary_rests_until:
            raise redis.RedisTimeoutError("the primary did not answer a moment ago")
        try:
            async with asyncio.timeout(PRIMARY_SECONDS):
                answer = await call()
        except TROUBLE as error:
            self._primary_rests_until = time.monotonic() + PRIMARY_REST_SECONDS
            _log.warning("redis_primary_failed", error=repr(error))
            raise
        _reads.labels("primary").inc()
        return answer

    async def _with_functions(self, call: Callable[[], Awaitable[T]]) -> T:
        """Install the functions and call again when the server has lost them."""
        try:
            return await call()
        except ResponseError as error:
            if "unction not found" not in str(error):
                raise
            await asyncio.wait_for(self.load_functions(), redis.ANSWER_SECONDS)
            return await call()
