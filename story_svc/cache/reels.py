"""Which stories of an author are live."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

from prometheus_client import Counter

from mesh.clock import from_ms, to_ms
from mesh.redis import AnyRedis
from story_svc.cache.server import FILL, PEEK, READ_LINES, Call, Lease, Server
from story_svc.domain import Entry, Reel, StoryId, UserId

SHARDS = 32
FIELDS_AT_ONCE = 1_000
"""Lua can't unpack many thousands of arguments at once."""
REEL_MS = 600_000
REPLICA_WAIT_MS = 100
REELS_IN_PROCESS = 20_000

T = TypeVar("T")
_unconfirmed = Counter("story_cache_unconfirmed", "Changes that the replica did not confirm in time")


class Reels:
    """The live stories of authors, in leased hashes of many authors each."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._read_before: dict[bytes, Reel] = {}

    async def get(self, authors: Iterable[UserId]) -> tuple[dict[UserId, Reel], list[UserId], Lease]:
        """Return the reels that are known and not empty, the authors about whom nothing is known, and their lease."""
        replies, lease = await self._server.read(READ_LINES, self._calls(authors))
        reels: dict[UserId, Reel] = {}
        missing: list[UserId] = []
        for found, absent in replies:
            lines = found.split(b"\n")  # one empty line, and so no pair, when nothing was found
            for author, value in zip(lines[::2], lines[1::2], strict=False):
                reels[UserId(int(author))] = self._reel_of(value)
            missing += [UserId(int(author)) for author in absent.split()]
        return reels, missing, lease

    async def get_from_replica(self, authors: Iterable[UserId]) -> dict[UserId, Reel]:
        """Return the reels that a replica holds, for when nobody else answers.

        It may lack what was published or deleted since the primary went away: so Postgres is asked before it.
        """

        async def peek(replica: AnyRedis) -> list[Any]:
            async with replica.pipeline(transaction=False) as pipeline:
                for author in authors:
                    pipeline.fcall_ro(PEEK, 1, _key(author % SHARDS), str(author))
                return await pipeline.execute()

        replies = await self._server.ask_replica(peek)
        return {UserId(int(found[0])): _unpack(found[1]) for found, _ in replies if found}

    async def fill(self, lease: Lease, reels: Mapping[UserId, Reel]) -> None:
        """Keep reels that were loaded under this lease, empty ones too."""
        if lease.token is None or not reels:
            return
        async with self._server.primary.pipeline(transaction=False) as pipeline:
            for shard, members in _by_shard(reels).items():
                for chunk in _chunks(members, FIELDS_AT_ONCE // 2):
                    pairs = (part for author in chunk for part in (author, _pack(reels[author])))
                    pipeline.fcall(FILL, 1, _key(shard), lease.token, REEL_MS, 0, *pairs)
            await pipeline.execute()

    async def forget(self, authors: Iterable[UserId]) -> None:
        """Drop what is known of these authors, and wait until the replica has dropped it too. Safe to repeat.

        To be called after the commit of whatever changed.
        """
        has_replica = self._server.replica is not None
        async with self._server.primary.pipeline(transaction=False) as pipeline:
            for shard, members in _by_shard(authors).items():
                pipeline.hdel(_key(shard), *map(str, members))
            if has_replica:
                pipeline.wait(1, REPLICA_WAIT_MS)
            *_, confirmed = await pipeline.execute()
        if has_replica and confirmed < 1:
            _unconfirmed.inc()

    async def peek(self, authors: Iterable[UserId]) -> dict[UserId, Reel | None]:
        """Return what is held of each author, `None` for nothing, without taking leases: for reconciliation."""
        held: dict[UserId, Reel | None] = {}
        for author in authors:
            found, absent = await self._server.primary.fcall_ro(PEEK, 1, _key(author % SHARDS), str(author))
            held[author] = None if absent else (_unpack(found[1]) if found else ())
        return held

    async def authors_in(self, shard: int) -> list[UserId]:
        """Return the authors of whom a shard holds something, by id: for reconciliation."""
        fields = cast(list[bytes], await self._server.primary.hkeys(_key(shard)))
        return sorted(UserId(int(field)) for field in fields if field != b"epoch")

    def _calls(self, authors: Iterable[UserId]) -> list[Call]:
        """Return calls of up to `FIELDS_AT_ONCE` fields, so that none holds the server for long; in a cluster each of
        one key.
        """
        calls: list[tuple[list[str], list[str]]] = []
        room = 0
        for shard, members in _by_shard(authors).items():
            for chunk in _chunks(members, FIELDS_AT_ONCE):
                if self._server.is_cluster or room < len(chunk):
                    calls.append(([], []))
                    room = FIELDS_AT_ONCE
                keys, wanted = calls[-1]
                keys.append(_key(shard))
                wanted.append(_json_list(chunk))
                room -= len(chunk)
        return list(calls)

    def _reel_of(self, value: bytes) -> Reel:
        """Take a value apart, once: a reel reads the same in every tray until it changes."""
        known = self._read_before.get(value)
        if known is None:
            known = _unpack(value)
            if len(self._read_before) >= REELS_IN_PROCESS:
                del self._read_before[next(iter(self._read_before))]
            self._read_before[value] = known
        return known


def _by_shard(authors: Iterable[UserId]) -> dict[int, list[UserId]]:
    shards: dict[int, list[UserId]] = {}
    for author in authors:
        shards.setdefault(author % SHARDS, []).append(author)
    return shards


def _key(shard: int) -> str:
    return f"story:live:{{{shard}}}"


def _json_list(authors: Sequence[UserId]) -> str:
    # Strings, since a double does not hold an id of 64 bits.
    return '["' + '","'.join(map(str, authors)) + '"]'


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
