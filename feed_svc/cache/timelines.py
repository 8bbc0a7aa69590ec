"""Home timelines in Redis."""

import random
import secrets
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
from redis.exceptions import ResponseError

from feed_svc.domain import COMPLETE, Home, PostId, UserId, place_of
from mesh import redis
from mesh.redis import AnyRedis
from mesh.redis_bulk import Bulk, Ids

FLOOR = b"floor"
LIFE_SECONDS = 31 * 24 * 3600
"""A day more than the eviction of those who don't read, which is what normally ends a timeline."""
SHELF_SECONDS = LIFE_SECONDS + 3600
"""Longer than the set, so that no set outlives its shelf."""
PIECES = 3
BUILD_SECONDS = 30
PAGE_SECONDS = 30
PAGE_JITTER = 0.2
SLACK = 8
"""Members read beyond what is wanted, for the floor and for posts that share the place of the position."""


class Timelines:
    """What Redis holds of home feeds."""

    def __init__(self, client: AnyRedis, bulk: Bulk, *, timeline_length: int) -> None:
        self._client = client
        self._bulk = bulk
        self.timeline_length = timeline_length
        # A quarter of the length, so that set and shelf (three pieces) have about the length together.
        self.piece_length = timeline_length // 4
        """Posts that are put onto the shelf together."""
        self.set_length = timeline_length // 8
        """Posts that the set keeps then; a first page is served from these alone."""

    @property
    def fold_beyond(self) -> int:
        """Members that the set may have before its older posts are put onto the shelf; the floor is one of them."""
        return self.set_length + self.piece_length

    async def load_functions(self) -> None:
        """Install the server-side functions; safe to repeat."""
        await redis.load_functions(self._client, "feed_svc", "lua/timelines.lua")

    async def read_home(self, viewer: UserId, *, before: PostId, limit: int) -> Home:
        """Return what Redis knows of a feed below `before`, at most `limit` posts: one round trip."""
        answer = await self._call(
            "heliograph_read_home",
            [_timeline(viewer), _about(viewer), _shelf(viewer), _page(viewer)],
            _score(before),
            limit + SLACK,
        )
        floor_score, members, count, generation, pulled, as_of, life_ms, page, shelf = answer
        if floor_score is None:
            page_generation, page_ids = _read_page(page, newest_push=members)
            return Home(
                floor=None,
                post_ids=(),
                is_cut=False,
                generation=None,
                pulled=frozenset(),
                pulled_ms=0,
                life_ms=life_ms,
                page=page_ids,
                page_generation=page_generation,
            )
        floor = -int(float(floor_score))
        found = {PostId(int(member)) for member in (*members.split(b","), *shelf.split(b",")) if member.isdigit()}
        ids = sorted(found, reverse=True)
        known = tuple(post_id for post_id in ids if post_id < before and place_of(post_id) > floor)
        return Home(
            floor=floor,
            post_ids=known[:limit],
            is_cut=count == limit + SLACK or len(known) > limit,
            generation=int(generation) if generation is not None else None,
            pulled=_read_ids(pulled),
            pulled_ms=int(as_of or 0),
            life_ms=life_ms,
            page=None,
            page_generation=0,
        )

    async def push_post(self, post_id: PostId, users: Ids, *, check_length: bool) -> None:
        """Put a post into the timelines of many people at once. Safe to repeat.

        A set that has no floor stays no timeline. With `check_length`, those that have grown too long are folded.
        """
        await self._bulk.integers(users, "ZADD", "tl:{*}", _score(post_id), post_id)
        if check_length:
            await self.fold_long(users)

    async def fold_long(self, users: Ids) -> None:
        """Put the older posts of sets that have grown too long onto their shelves."""
        lengths = await self._bulk.integers(users, "ZCARD", "tl:{*}")
        if len(long := users[lengths > self.fold_beyond]):
            sizes = (self.set_length, self.piece_length, PIECES, SHELF_SECONDS)
            try:
                await self._bulk.integers(long, "FCALL", "heliograph_fold", 2, "tl:{*}", "tls:{*}", *sizes)
            except ResponseError as error:
                if not _is_unknown_function(error):
                    raise
                await self.load_functions()  # the next look finds them too long again

    async def add_posts(
        self,
        viewer: UserId,
        post_ids: Iterable[PostId],
        *,
        generation: int,
        floor: int | None = None,
        pulled: Collection[UserId] | None = None,
        as_of_ms: int = 0,
    ) -> bool:
        """Put posts into the viewer's timeline and note that it reflects `generation` now; `False` without a timeline.

        When it did not reflect the generation before, or reaches below the `floor` to which the posts were looked up, a
        change is missing, and the next read builds it anew.
        """
        noted = (_written_ids(pulled), as_of_ms) if pulled is not None else ("", "")
        scored = _scored(post_ids)
        deep_as = "" if floor is None else -floor
        exists = await self._call(
            "heliograph_add_posts",
            [_timeline(viewer), _about(viewer)],
            *(generation - 1, generation, deep_as, *noted, *scored),
        )
        if len(scored) > 2:  # a backfill may be long
            await self.fold_long(np.array([viewer], dtype=np.int64))
        return bool(exists)

    async def remove_posts(self, viewer: UserId, post_ids: Sequence[PostId], *, generation: int) -> None:
        """Take posts out of the viewer's timeline, unless it reflects another generation by now. Safe to repeat."""
        if post_ids:
            keys = [_timeline(viewer), _about(viewer), _shelf(viewer)]
            await self._call("heliograph_remove_posts", keys, generation, *map(int, post_ids))

    async def floor_of(self, viewer: UserId) -> int | None:
        """Return the place from which on down the timeline knows nothing; `None` without a timeline."""
        score: Any = await self._client.zscore(_timeline(viewer), FLOOR)
        return -int(score) if score is not None else None

    async def generation_of(self, viewer: UserId) -> int | None:
        """Return the generation that a timeline reflects; `None` while there is none, or it is being built."""
        generation: Any = await self._client.hget(_about(viewer), "g")
        return int(generation) if generation is not None else None

    async def members_of(self, viewer: UserId) -> tuple[list[PostId], int | None, int | None]:
        """Return a whole timeline, newest first, its floor and the millisecond it was built; for staff."""
        found: Any = await self._client.zrange(_timeline(viewer), 0, -1)
        pieces: Any = await self._client.lrange(_shelf(viewer), 0, -1)
        built: Any = await self._client.hget(_about(viewer), "b")
        members = {*found, *b",".join(pieces).split(b",")} - {FLOOR, b""}
        ids = sorted((PostId(int(member)) for member in members), reverse=True)
        return ids, await self.floor_of(viewer), int(built) if built is not None else None

    async def open(self, viewer: UserId, *, unless_generation: int | None) -> str | None:
        """Begin to build a timeline, so that pushes reach it from now on.

        Returns the token for `fill`; `None` when somebody else builds it, or there is one that reflects
        `unless_generation`.
        """
        token = secrets.token_hex(8)
        wanted = "" if unless_generation is None else unless_generation
        opened = await self._call(
            "heliograph_open_timeline",
            [_timeline(viewer), _about(viewer), _shelf(viewer), _lock(viewer)],
            *(token, BUILD_SECONDS, wanted),
        )
        return token if opened else None

    async def fill(
        self,
        viewer: UserId,
        token: str,
        post_ids: Sequence[PostId],
        *,
        is_complete: bool,
        generation: int,
        built_ms: int,
        pulled: Collection[UserId],
    ) -> bool:
        """Finish a timeline with its posts, newest first; unless it is complete, the last one becomes the floor.

        Returns `False` when the timeline was lost since it was opened: the next read builds it anew.
        """
        floor = COMPLETE if is_complete else place_of(post_ids[-1])
        newest, older = post_ids[: self.set_length], post_ids[self.set_length :]
        size = self.piece_length
        pieces = [_written_ids(older[start : start + size]) for start in range(0, len(older), size)]
        return bool(
            await self._call(
                "heliograph_fill_timeline",
                [_timeline(viewer), _about(viewer), _shelf(viewer), _lock(viewer)],
                *(token, -floor, LIFE_SECONDS, SHELF_SECONDS, generation, built_ms, _written_ids(pulled), built_ms),
                *(len(pieces), *pieces, *_scored(newest)),
            )
        )

    async def note_pulled(self, viewer: UserId, pulled: Collection[UserId], *, generation: int, as_of_ms: int) -> None:
        """Note who among the viewer's followees is pulled, unless the viewer's own doing has gone on since."""
        await self._call("heliograph_note_pulled", [_about(viewer)], generation, _written_ids(pulled), as_of_ms)

    async def keep_alive(self, viewer: UserId) -> None:
        """Let a timeline that is read live on."""
        await self._client.expire(_shelf(viewer), SHELF_SECONDS)
        await self._client.expire(_timeline(viewer), LIFE_SECONDS)
        await self._client.expire(_about(viewer), LIFE_SECONDS)

    async def put_page(self, viewer: UserId, post_ids: Sequence[PostId], *, generation: int) -> None:
        """Keep a pulled first page for half a minute, a little more or less."""
        seconds = PAGE_SECONDS * random.uniform(1 - PAGE_JITTER, 1 + PAGE_JITTER)  # noqa: S311 - not a secret
        value = f"{generation}:" + ",".join(map(str, post_ids))
        await self._client.set(_page(viewer), value, px=int(seconds * 1000))

    async def drop(self, *users: UserId) -> None:
        """Forget timelines, also those being built; the next read is by pull and builds anew. Safe to repeat."""
        for user in users:
            await self._client.delete(_timeline(user), _about(user), _shelf(user), _lock(user), _page(user))

    async def _call(self, function: str, keys: list[str], *arguments: Any) -> Any:
        try:
            return await self._client.fcall(function, len(keys), *keys, *arguments)
        except ResponseError as error:
            if not _is_unknown_function(error):
                raise
        await self.load_functions()
        return await self._client.fcall(function, len(keys), *keys, *arguments)


def _is_unknown_function(error: ResponseError) -> bool:
    """Whether the server has lost its data, or is a new node, and so does not know the functions."""
    return "not found" in str(error).lower()


def ids_of(packed: bytes) -> Ids:
    """Return user ids that Postgres has packed as big-endian 64-bit numbers."""
    return np.frombuffer(packed, dtype=">i8").astype(np.int64)


def _read_page(page: bytes | None, *, newest_push: bytes) -> tuple[int, tuple[PostId, ...] | None]:
    if page is None:
        return 0, None
    generation, _, joined = page.partition(b":")
    ids = tuple(PostId(int(one)) for one in joined.split(b",") if one)
    # Fan-out has pushed something newer, though there is no timeline to take it: the page is out of date.
    if newest_push.isdigit() and (not ids or int(newest_push) > ids[0]):
        return 0, None
    return int(generation), ids


def _read_ids(joined: bytes | None) -> frozenset[UserId]:
    return frozenset(UserId(int(one)) for one in (joined or b"").split(b",") if one)


def _written_ids(ids: Collection[int]) -> str:
    return ",".join(map(str, ids))


def _scored(post_ids: Iterable[PostId]) -> list[int]:
    return [part for post_id in post_ids for part in (_score(post_id), post_id)]


def _score(post_id: PostId) -> int:
    return -place_of(post_id)


def _timeline(user: UserId) -> str:
    return f"tl:{{{user}}}"


def _about(user: UserId) -> str:
    return f"tlm:{{{user}}}"


def _shelf(user: UserId) -> str:
    return f"tls:{{{user}}}"


def _lock(user: UserId) -> str:
    return f"tlb:{{{user}}}"


def _page(user: UserId) -> str:
    return f"page:{{{user}}}"
