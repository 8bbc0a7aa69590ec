"""Which stories of an author are live."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import orjson
from prometheus_client import Counter

from mesh.clock import from_ms, to_ms
from mesh.redis import AnyRedis
from story_svc.cache.server import FILL, PEEK, READ_LINES, Call, Lease, Server, life_ms
from story_svc.domain import Entry, Reel, StoryId, UserId

SHARDS = 32
KEYS = tuple(b"story:live:{%d}" % shard for shard in range(SHARDS))
FIELDS_AT_ONCE = 1_000
"""Lua can't unpack many thousands of arguments at once."""
REEL_MS = 600_000
REPLICA_WAIT_MS = 100
REELS_IN_PROCESS = 20_000

Lists = Sequence[Sequence[str]]
"""Authors, a list for each shard."""

T = TypeVar("T")
_unconfirmed = Counter("story_cache_unconfirmed", "Changes that the replica did not confirm in time")


@dataclass(frozen=True, slots=True)
class LeasedReels:
    """What is known of some authors."""

    reels: dict[UserId, Reel]
    """Those that are not empty."""
    missing: list[UserId]
    """About whom nothing is known."""
    lease: Lease
    """Under which the missing ones may be filled."""


class Reels:
    """The live stories of authors, in leased hashes of many authors each."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._read_before: dict[bytes, Reel] = {}

    async def get(self, authors: Iterable[UserId]) -> LeasedReels:
        """Return what is known of authors."""
        return await self.get_listed(listed(authors))

    async def get_listed(self, lists: Lists) -> LeasedReels:
        """Return what is known of authors that are listed by shard."""
        replies, lease = await self._server.read(READ_LINES, self._calls(lists))
        return self.read_lines(replies, lease)

    def read_lines(self, replies: Sequence[Sequence[bytes]], lease: Lease) -> LeasedReels:
        """Take apart what the functions of the server say of reels."""
        reels: dict[UserId, Reel] = {}
        missing: list[UserId] = []
        for found, absent in replies:
            lines = found.split(b"\n")  # one empty line, and so no pair, when nothing was found
            for author, value in zip(lines[::2], lines[1::2], strict=False):
                reels[UserId(int(author))] = self._reel_of(value)
            missing += [UserId(int(author)) for author in absent.split()]
        return LeasedReels(reels, missing, lease)

    async def get_from_replica(self, authors: Iterable[UserId]) -> dict[UserId, Reel]:
        """Return the reels that a replica holds, for when nobody else answers.

        It may lack what was published or deleted since the primary went away: so Postgres is asked before it.
        """

        async def peek(replica: AnyRedis) -> list[Any]:
            async with replica.pipeline(transaction=False) as pipeline:
                for author in authors:
                    pipeline.fcall_ro(PEEK, 1, KEYS[author % SHARDS], author)
                return await pipeline.execute()

        replies = await self._server.ask_replica(peek)
        return {UserId(int(found[0])): _unpack(found[1]) for found, _ in replies if found}

    async def fill(self, lease: Lease, reels: Mapping[UserId, Reel]) -> None:
        """Keep reels that were loaded under this lease, empty ones too."""
        if lease.token is None or not reels:
            return
        async with self._server.primary.pipeline(transaction=False) as pipeline:
            for key, members in zip(KEYS, _by_shard(reels), strict=True):
                for chunk in _chunks(members, FIELDS_AT_ONCE // 2):
                    pairs = (part for author in chunk for part in (author, _pack(reels[author])))
                    pipeline.fcall(FILL, 1, key, lease.token, life_ms(REEL_MS), 0, *pairs)
            await pipeline.execute()

    async def forget(self, authors: Iterable[UserId]) -> None:
        """Drop what is known of these authors, and wait until the replica has dropped it too. Safe to repeat.

        To be called after the commit of whatever changed.
        """
        has_replica = self._server.replica is not None
        async with self._server.primary.pipeline(transaction=False) as pipeline:
            for key, members in zip(KEYS, _by_shard(authors), strict=True):
                if members:
                    pipeline.hdel(key, *map(str, members))
            if has_replica:
                pipeline.wait(1, REPLICA_WAIT_MS)
            *_, confirmed = await pipeline.execute()
        if has_replica and confirmed < 1:
            _unconfirmed.inc()

    async def peek(self, authors: Iterable[UserId]) -> dict[UserId, Reel | None]:
        """Return what is held of each author, `None` for nothing, without taking leases: for reconciliation."""
        held: dict[UserId, Reel | None] = {}
        for author in authors:
            found, absent = await self._server.primary.fcall_ro(PEEK, 1, KEYS[author % SHARDS], author)
            held[author] = None if absent else (_unpack(found[1]) if found else ())
        return held

    async def authors_in(self, shard: int) -> list[UserId]:
        """Return the authors of whom a shard holds something, by id: for reconciliation."""
        fields = cast(list[bytes], await self._server.primary.hkeys(KEYS[shard]))
        return sorted(UserId(int(field)) for field in fields if field != b"epoch")

    def _calls(self, lists: Lists) -> list[Call]:
        """Return calls of up to `FIELDS_AT_ONCE` fields, so that none holds the server for long; in a cluster each of
        one key.
        """
        calls: list[tuple[list[bytes], list[Sequence[str]]]] = []
        room = 0
        for key, members in zip(KEYS, lists, strict=True):
            for chunk in _chunks(members, FIELDS_AT_ONCE):
                if self._server.is_cluster or room < len(chunk):
                    calls.append(([], []))
                    room = FIELDS_AT_ONCE
                keys, wanted = calls[-1]
                keys.append(key)
                wanted.append(chunk)
                room -= len(chunk)
        return [(keys, orjson.dumps(wanted)) for keys, wanted in calls]

    def _reel_of(self, value: bytes) -> Reel:
        """Take a value apart, once: a reel reads the same in every tray until it changes."""
        known = self._read_before.get(value)
        if known is None:
            known = _unpack(value)
            if len(self._read_before) >= REELS_IN_PROCESS:
                del self._read_before[next(iter(self._read_before))]
            self._read_before[value] = known
        return known


def listed(authors: Iterable[UserId]) -> Lists:
    """Return authors by shard, as the functions of the server take them."""
    # Strings, since a double does not hold an id of 64 bits.
    return [list(map(str, members)) for members in _by_shard(authors)]


def _by_shard(authors: Iterable[UserId]) -> list[list[UserId]]:
    shards: list[list[UserId]] = [[] for _ in range(SHARDS)]
    for author in authors:
        shards[author % SHARDS].append(author)
    return shards


def _chunks(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _pack(reel: Reel) -> bytes:
    return " ".join(f"{entry.story_id}:{to_ms(entry.expire_time)}" for entry in reel).encode()


def _unpack(value: bytes) -> Reel:
    entries = []
    for part in value.split():
        story_id, _, end_ms = part.partition(b":")
        entries.append(Entry(StoryId(int(story_id)), from_ms(int(end_ms))))
    return tuple(entries)
