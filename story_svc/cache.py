"""Redis: what is live, what a viewer has seen and whom they follow. Nothing in it is the truth.

`story:live:{<shard>}`
    hash; field = author, value = their live stories, `id:end id:end ...`. A field lives 10 minutes. Written by
    any read that misses, read by every read path, rebuilt from Postgres `stories`.
`story:viewer:{<user>}`
    hash; `seen` = ids of live stories seen (10 minutes, rebuilt from Postgres `story_seen`), `followees` = ids (1 min,
    rebuilt from feed_svc), `last` = the same for when feed_svc is away (10 minutes). The key lives 2 hours. Written and
    read by the tray.
`story:record:{<story>}`
    string, JSON: photo, author and times of a story, until its end (PXAT). Written by publish and any read that misses,
    read by every read path, rebuilt from Postgres `stories`.

Author `a` stands in shard `a mod 32`, so that the reels of hundreds of followees cost one round trip of a few dozen
commands. The hashes are leased (lua/leases.lua): a write commits in Postgres and then forgets the field; a fill
that was loaded before that is refused, so a deleted story can't come back and a new one can't be missed. Redis' own
clock decides nothing: ends are compared with the database's clock by whoever reads.

While the primary is away, what can change is read from Postgres, and what can't (records) from the replica. The
replica's reels are the last resort, when Postgres is away too: it can't know what was published or deleted since
its primary died. What it lacks from before is bounded: `forget` waits until the replica has it too. After a
failover the hashes count as empty (`epoch`), and everything is loaded again.
"""

import array
import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar, cast

import orjson
from prometheus_client import Counter
from redis.exceptions import ResponseError

from mesh import redis
from mesh.clock import from_ms, from_us, to_ms, to_us
from mesh.redis import TROUBLE, AnyRedis, Replicated
from mesh.telemetry import get_logger
from story_svc.domain import Entry, Photo, Reel, Story, StoryId, UserId, Variant

SHARDS = 32
FIELDS_AT_ONCE = 1_000
"""Lua can't unpack many thousands of arguments at once."""
LEASE_MS = 5_000
"""Longer than any load from Postgres may take."""
REEL_MS = 600_000
SEEN_MS = 600_000
FOLLOWEES_MS = 60_000
"""Graph events drop the list at once; this bounds what a lost event can do."""
LAST_KNOWN_MS = 600_000
VIEWER_KEY_MS = 7_200_000
REPLICA_WAIT_MS = 100
RECORDS_IN_PROCESS = 5_000
PRIMARY_REST_SECONDS = 0.2
"""How long the primary is left alone after it failed to answer, so that reads don't each wait for it."""

SEEN, FOLLOWEES, LAST_KNOWN = b"seen", b"followees", b"last"

T = TypeVar("T")
_log = get_logger(__name__)
_reads = Counter("story_cache_reads", "Reads of the leased hashes by what answered", ["source"])
_unconfirmed = Counter("story_cache_unconfirmed", "Changes that the replica did not confirm in time")


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to fill what was missing, until somebody forgets it; without a token nothing can be filled."""

    token: str | None


@dataclass(frozen=True, slots=True)
class ViewerState:
    """What is known of a viewer; `None` where it has to be loaded."""

    seen: frozenset[StoryId] | None
    followees: frozenset[UserId] | None
    lease: Lease


class Cache:
    """The service's Redis. Its methods raise `mesh.redis.TROUBLE` when neither primary nor replica answers."""

    def __init__(self, clients: Replicated) -> None:
        self._primary = clients.primary
        self._replica = clients.replica
        self._primary_rests_until = 0.0
        self._records: dict[StoryId, Story] = {}

    async def load_functions(self) -> None:
        """Install the server-side functions; safe to repeat."""
        await redis.load_functions(self._primary, __package__, "lua/leases.lua")

    async def get_reels(self, authors: Iterable[UserId]) -> tuple[dict[UserId, Reel], list[UserId], Lease]:
        """Return the reels that are known and not empty, the authors about whom nothing is known, and their lease."""
        shards: dict[int, list[UserId]] = {}
        for author in authors:
            shards.setdefault(author % SHARDS, []).append(author)
        chunks = [
            (_live_key(shard), chunk) for shard, members in shards.items() for chunk in _chunks(members, FIELDS_AT_ONCE)
        ]
        replies, lease = await self._read(chunks)
        return (*_reels_of(replies), lease)

    async def get_reels_from_replica(self, authors: Iterable[UserId]) -> dict[UserId, Reel]:
        """Return the reels that a replica holds, for when nobody else answers.

        It may lack what was published or deleted since the primary went away: so Postgres is asked before it.
        """
        if self._replica is None:
            raise redis.RedisTimeoutError("there is no replica")
        async with self._replica.pipeline(transaction=False) as pipeline:
            for author in authors:
                pipeline.fcall_ro(_PEEK, 1, _live_key(author % SHARDS), str(author))
            replies: list[Any] = await pipeline.execute()
        _reads.labels("replica").inc()
        return _reels_of(replies)[0]

    async def fill_reels(self, lease: Lease, reels: Mapping[UserId, Reel]) -> None:
        """Keep reels that were loaded under this lease, empty ones too."""
        if lease.token is None or not reels:
            return
        shards: dict[int, list[bytes | int]] = {}
        for author, reel in reels.items():
            shards.setdefault(author % SHARDS, []).extend((author, _pack_reel(reel)))
        async with self._primary.pipeline(transaction=False) as pipeline:
            for shard, pairs in shards.items():
                for chunk in _chunks(pairs, FIELDS_AT_ONCE):
                    pipeline.fcall(_FILL, 1, _live_key(shard), lease.token, REEL_MS, 0, *chunk)
            await pipeline.execute()

    async def forget_reels(self, authors: Iterable[UserId]) -> None:
        """Drop what is known of these authors, and wait until the replica has dropped it too. Safe to repeat.

        To be called after the commit of whatever changed.
        """
        shards: dict[int, list[UserId]] = {}
        for author in authors:
            shards.setdefault(author % SHARDS, []).append(author)
        async with self._primary.pipeline(transaction=False) as pipeline:
            for shard, members in shards.items():
                pipeline.hdel(_live_key(shard), *map(str, members))
            if self._replica is not None:
                pipeline.wait(1, REPLICA_WAIT_MS)
            *_, confirmed = await pipeline.execute()
        if self._replica is not None and confirmed < 1:
            _unconfirmed.inc()

    async def get_viewer(self, viewer: UserId) -> ViewerState:
        """Return what is known of a viewer."""
        replies, lease = await self._read([(_viewer_key(viewer), (SEEN, FOLLOWEES))])
        found, absent = replies[0]
        held = dict(zip(found[::2], found[1::2], strict=True))
        seen, followees = (None if name in absent else _unpack_ids(held.get(name, b"")) for name in (SEEN, FOLLOWEES))
        return ViewerState(
            seen=None if seen is None else frozenset(map(StoryId, seen)),
            followees=None if followees is None else frozenset(map(UserId, followees)),
            lease=lease,
        )

    async def get_last_known_followees(self, viewer: UserId) -> frozenset[UserId] | None:
        """Return whom a viewer followed in the last 10 minutes, for when feed_svc can't answer; `None` if unknown."""
        key = _viewer_key(viewer)

        async def get(client: AnyRedis) -> bytes | None:
            return cast(bytes | None, await client.hget(key, LAST_KNOWN))

        value = await self._either(get)
        return None if value is None else frozenset(map(UserId, _unpack_ids(value)))

    async def fill_seen(self, viewer: UserId, lease: Lease, seen: Iterable[StoryId]) -> None:
        """Keep the live stories that a viewer has seen, loaded under this lease."""
        await self._fill_viewer(viewer, lease, SEEN_MS, SEEN, seen)

    async def fill_followees(self, viewer: UserId, lease: Lease, followees: Iterable[UserId]) -> None:
        """Keep whom a viewer follows, loaded under this lease; also as the last known list."""
        known = list(followees)
        if await self._fill_viewer(viewer, lease, FOLLOWEES_MS, FOLLOWEES, known):
            await self._primary.hsetex(_viewer_key(viewer), LAST_KNOWN, _pack_ids(known), px=LAST_KNOWN_MS)

    async def forget_seen(self, viewer: UserId) -> None:
        """Drop what a viewer has seen; the next tray loads it."""
        await self._primary.hdel(_viewer_key(viewer), SEEN)

    async def forget_followees(self, viewer: UserId, *, also_last_known: bool) -> None:
        """Drop whom a viewer follows; with `also_last_known` it isn't used in an emergency either."""
        fields = (FOLLOWEES, LAST_KNOWN) if also_last_known else (FOLLOWEES,)
        await self._primary.hdel(_viewer_key(viewer), *fields)

    async def get_records(self, story_ids: Iterable[StoryId]) -> dict[StoryId, Story]:
        """Return the stories whose record is at hand, in the process or in Redis. It says nothing of their life."""
        wanted = list(story_ids)
        found = {story_id: self._records[story_id] for story_id in wanted if story_id in self._records}
        absent = [story_id for story_id in wanted if story_id not in found]
        if absent:
            for value in await self._get_many([_record_key(story_id) for story_id in absent]):
                if value is not None:
                    story = _unpack_story(value)
                    found[story.story_id] = story
                    self._remember(story)
        return found

    async def put_records(self, stories: Iterable[Story]) -> None:
        """Keep the records of stories until their end."""
        async with self._primary.pipeline(transaction=False) as pipeline:
            for story in stories:
                self._remember(story)
                pipeline.set(_record_key(story.story_id), _pack_story(story), pxat=to_ms(story.expire_time))
            await pipeline.execute()

    async def drop_records(self, story_ids: Iterable[StoryId]) -> None:
        """Drop the records of stories that ended."""
        async with self._primary.pipeline(transaction=False) as pipeline:
            for story_id in story_ids:
                self._records.pop(story_id, None)
                pipeline.delete(_record_key(story_id))
            await pipeline.execute()

    async def peek_reels(self, authors: Iterable[UserId]) -> dict[UserId, Reel | None]:
        """Return what is held of each author, `None` for nothing, without taking leases: for reconciliation."""
        held: dict[UserId, Reel | None] = {}
        for author in authors:
            found, absent = await self._primary.fcall_ro(_PEEK, 1, _live_key(author % SHARDS), str(author))
            held[author] = None if absent else (_unpack_reel(found[1]) if found else ())
        return held

    async def authors_in_shard(self, shard: int) -> list[UserId]:
        """Return the authors of whom a shard holds something, by id: for reconciliation."""
        fields = cast(list[bytes], await self._primary.hkeys(_live_key(shard)))
        return sorted(UserId(int(field)) for field in fields if field != b"epoch")

    async def ping(self) -> None:
        """Raise unless the primary answers."""
        await self._primary.ping()

    async def _fill_viewer(self, viewer: UserId, lease: Lease, life_ms: int, field: bytes, ids: Iterable[int]) -> bool:
        if lease.token is None:
            return False
        arguments = (lease.token, life_ms, VIEWER_KEY_MS, field, _pack_ids(ids))
        return bool(await self._primary.fcall(_FILL, 1, _viewer_key(viewer), *arguments))

    async def _read(self, chunks: Sequence[tuple[str, Sequence[Any]]]) -> tuple[list[Any], Lease]:
        """Read fields of several hashes on the primary in one round trip, with leases for those that are missing."""
        token = secrets.token_hex(8)

        async def read() -> list[Any]:
            async with self._primary.pipeline(transaction=False) as pipeline:
                for key, fields in chunks:
                    pipeline.fcall(_READ, 1, key, token, LEASE_MS, *fields)
                return await pipeline.execute()

        return await self._ask_primary(lambda: self._with_functions(read)), Lease(token)

    async def _get_many(self, keys: list[str]) -> list[bytes | None]:
        async def get(client: AnyRedis) -> list[bytes | None]:
            async with client.pipeline(transaction=False) as pipeline:
                for key in keys:
                    pipeline.get(key)
                return await pipeline.execute()

        return await self._either(get)

    async def _either(self, read: Callable[[AnyRedis], Awaitable[T]]) -> T:
        """Return what the primary answers, or else the replica: for what does not change."""
        try:
            return await self._ask_primary(lambda: read(self._primary))
        except TROUBLE:
            if self._replica is None:
                raise
        answer = await read(self._replica)
        _reads.labels("replica").inc()
        return answer

    async def _ask_primary(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call the primary, unless it has just failed to answer: then raise at once."""
        if time.monotonic() < self._primary_rests_until:
            raise redis.RedisTimeoutError("the primary did not answer a moment ago")
        try:
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

    def _remember(self, story: Story) -> None:
        if len(self._records) >= RECORDS_IN_PROCESS and story.story_id not in self._records:
            del self._records[next(iter(self._records))]
        self._records[story.story_id] = story


_READ, _PEEK, _FILL = "heliograph_story_read", "heliograph_story_peek", "heliograph_story_fill"


def _reels_of(replies: Iterable[Any]) -> tuple[dict[UserId, Reel], list[UserId]]:
    """Return the reels of some replies, and the authors about whom they know nothing."""
    reels: dict[UserId, Reel] = {}
    missing: list[UserId] = []
    for found, absent in replies:
        for field, value in zip(found[::2], found[1::2], strict=True):
            reels[UserId(int(field))] = _unpack_reel(value)
        missing += [UserId(int(field)) for field in absent]
    return reels, missing


def _live_key(shard: int) -> str:
    return f"story:live:{{{shard}}}"


def _viewer_key(viewer: UserId) -> str:
    return f"story:viewer:{{{viewer}}}"


def _record_key(story_id: StoryId) -> str:
    return f"story:record:{{{story_id}}}"


def _chunks(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _pack_ids(ids: Iterable[int]) -> bytes:
    return array.array("q", ids).tobytes()


def _unpack_ids(value: bytes) -> "array.array[int]":
    return array.array("q", value)


def _pack_reel(reel: Reel) -> bytes:
    return " ".join(f"{entry.story_id}:{to_ms(entry.expire_time)}" for entry in reel).encode()


def _unpack_reel(value: bytes) -> Reel:
    entries = []
    for part in value.split():
        story_id, _, end_ms = part.partition(b":")
        entries.append(Entry(StoryId(int(story_id)), from_ms(int(end_ms))))
    return tuple(entries)


def _pack_story(story: Story) -> bytes:
    times = {"create_us": to_us(story.create_time), "expire_us": to_us(story.expire_time)}
    return orjson.dumps(
        {"story_id": story.story_id, "author_id": story.author_id, "photo": asdict(story.photo), **times}
    )


def _unpack_story(value: bytes) -> Story:
    held = orjson.loads(value)
    variants = tuple(Variant(**variant) for variant in held["photo"]["variants"])
    return Story(
        story_id=StoryId(held["story_id"]),
        author_id=UserId(held["author_id"]),
        photo=Photo(**{**held["photo"], "variants": variants}),
        create_time=from_us(held["create_us"]),
        expire_time=from_us(held["expire_us"]),
    )
