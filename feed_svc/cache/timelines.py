"""Home timelines in Redis."""

import random
import secrets
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
from redis.exceptions import ResponseError

from feed_svc.cache.marks import PageMark, TimelineMark, joined, read_mark
from feed_svc.domain import COMPLETE, FIRST_POSITION, Home, PostId, UserId
from mesh import redis
from mesh.redis import AnyRedis
from mesh.redis_bulk import Bulk, Ids

LIFE_SECONDS = 31 * 24 * 3600
"""A day more than the eviction of those who don't read, which is what normally ends a timeline."""
BUILD_SECONDS = 30
PAGE_SECONDS = 30
PAGE_JITTER = 0.2
PULL_SECONDS = 10
"""A first page that takes longer to be pulled is not kept."""
TRIMMED_BY = 8
"""One of those who find a list too long at the same time cuts it; if that fails, another one so many pushes later."""


class Timelines:
    """What Redis holds of home feeds."""

    def __init__(self, client: AnyRedis, bulk: Bulk, *, timeline_length: int) -> None:
        self._client = client
        self._bulk = bulk
        self.timeline_length = timeline_length
        self.trim_beyond = timeline_length + timeline_length // 2
        """Posts that a list may have before it is cut to its length: seldom, since a cut costs as much as 15 pushes."""

    async def load_functions(self) -> None:
        """Install the server-side functions; safe to repeat."""
        await redis.load_functions(self._client, "feed_svc", "lua/timelines.lua")

    async def read_home(self, viewer: UserId, *, before: PostId, limit: int) -> Home:
        """Return what Redis knows of a feed below `before`, at most `limit` posts: one round trip."""
        first, arrivals, life_ms = await self._call("heliograph_home_read", viewer)
        mark = read_mark(first)
        if isinstance(mark, TimelineMark):
            ids = _newest_first(arrivals, above=mark.floor, below=before)
            return Home(
                floor=mark.floor,
                post_ids=tuple(map(PostId, ids[:limit].tolist())),
                is_cut=len(ids) > limit,
                generation=mark.generation,
                pulled=mark.pulled,
                pulled_ms=mark.pulled_ms,
                life_ms=life_ms,
                page=None,
                page_generation=0,
            )
        page = mark if mark is not None and _is_up_to_date(mark, arrivals) else None
        return Home(
            floor=None,
            post_ids=(),
            is_cut=False,
            generation=None,
            pulled=frozenset(),
            pulled_ms=0,
            life_ms=life_ms,
            page=tuple(page.post_ids) if page is not None else None,
            page_generation=page.generation if page is not None else 0,
        )

    async def push_post(self, post_id: PostId, users: Ids) -> int:
        """Put a post into the timelines of many people at once; return how many had one. Safe to repeat.

        Where Redis has a replica, it has them too by then: what fan-out has noted as done outlives a failover.
        """
        lengths = await self._bulk.replicated(users, "RPUSHX", "home:{*}", post_id)
        too_many = lengths - 1 - self.trim_beyond
        if len(long := users[(too_many > 0) & (too_many % TRIMMED_BY == 1)]):
            await self._trim(long)
        return int(np.count_nonzero(lengths))

    async def _trim(self, users: Ids) -> None:
        try:
            lengths = (self.timeline_length, self.trim_beyond)
            await self._bulk.integers(users, "FCALL", "heliograph_home_trim", 1, "home:{*}", *lengths)
        except ResponseError as error:
            if not _is_unknown_function(error):
                raise
            await self.load_functions()  # the next push finds them too long again

    async def add_posts(
        self,
        viewer: UserId,
        post_ids: Iterable[PostId],
        *,
        generation: int,
        floor: PostId | None = None,
        pulled: Collection[UserId] | None = None,
        as_of_ms: int = 0,
    ) -> bool:
        """Put posts into the viewer's timeline and note that it reflects `generation` now; `False` without a timeline.

        When it did not reflect the generation before, or reaches below the `floor` to which the posts were looked up, a
        change is missing, and the next read builds it anew.
        """
        noted = (joined(pulled), as_of_ms) if pulled is not None else ("", "")
        deep_as = "" if floor is None else floor
        return bool(
            await self._call(
                "heliograph_home_add",
                viewer,
                *(generation - 1, generation, deep_as, *noted, self.timeline_length, *map(int, post_ids)),
            )
        )

    async def remove_posts(self, viewer: UserId, post_ids: Sequence[PostId], *, generation: int) -> None:
        """Take posts out of the viewer's timeline, unless it reflects another generation by now. Safe to repeat."""
        if post_ids:
            await self._call("heliograph_home_remove", viewer, generation, *map(int, post_ids))

    async def mark_of(self, viewer: UserId) -> TimelineMark | None:
        """Return what is noted of a timeline; `None` while there is none, or it is being built."""
        first: Any = await self._client.lindex(_key(viewer), 0)
        mark = read_mark(first)
        return mark if isinstance(mark, TimelineMark) else None

    async def members_of(self, viewer: UserId) -> tuple[list[PostId], TimelineMark | None]:
        """Return the posts of a timeline, newest first, and what is noted of it; for staff."""
        first, arrivals, _ = await self._call("heliograph_home_read", viewer)
        mark = read_mark(first)
        if not isinstance(mark, TimelineMark):
            return [], None
        return [PostId(one) for one in _newest_first(arrivals, above=mark.floor).tolist()], mark

    async def open(self, viewer: UserId, *, unless_generation: int | None) -> str | None:
        """Begin to build a timeline, so that pushes reach it from now on.

        Returns the token for `fill`; `None` when somebody else builds it, or there is one that reflects
        `unless_generation`.
        """
        token = secrets.token_hex(8)
        wanted = "" if unless_generation is None else unless_generation
        return token if await self._call("heliograph_home_open", viewer, token, BUILD_SECONDS, wanted) else None

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
        floor = COMPLETE if is_complete else post_ids[-1]
        mark = TimelineMark(floor, generation, built_ms, built_ms, frozenset(pulled))
        return bool(
            await self._call("heliograph_home_fill", viewer, token, LIFE_SECONDS, str(mark), *map(int, post_ids))
        )

    async def note_pulled(self, viewer: UserId, pulled: Collection[UserId], *, generation: int, as_of_ms: int) -> None:
        """Note who among the viewer's followees is pulled, unless the viewer's own doing has gone on since."""
        await self._call("heliograph_home_note_pulled", viewer, generation, joined(pulled), as_of_ms)

    async def keep_alive(self, viewer: UserId) -> None:
        """Let a timeline that is read live on."""
        await self._client.expire(_key(viewer), LIFE_SECONDS)

    async def open_page(self, viewer: UserId) -> None:
        """Before the first page of somebody without a timeline is pulled: note from now on what is pushed."""
        await self._call("heliograph_home_open_page", viewer, (PAGE_SECONDS + PULL_SECONDS) * 1000)

    async def fill_page(self, viewer: UserId, post_ids: Sequence[PostId], *, generation: int) -> None:
        """Keep the page that was pulled since for half a minute, a little more or less."""
        seconds = PAGE_SECONDS * random.uniform(1 - PAGE_JITTER, 1 + PAGE_JITTER)  # noqa: S311 - not a secret
        await self._call("heliograph_home_fill_page", viewer, int(seconds * 1000), str(PageMark(generation, post_ids)))

    async def drop(self, *users: UserId) -> None:
        """Forget timelines, also those being built; the next read is by pull and builds anew. Safe to repeat.

        In a replica too: nobody is pushed to any more whose timeline a failover would bring back.
        """
        await self._bulk.replicated(np.array(users, dtype=np.int64), "DEL", "home:{*}")

    async def _call(self, function: str, user: UserId, *arguments: Any) -> Any:
        try:
            return await self._client.fcall(function, 1, _key(user), *arguments)
        except ResponseError as error:
            if not _is_unknown_function(error):
                raise
        await self.load_functions()
        return await self._client.fcall(function, 1, _key(user), *arguments)


def _is_unknown_function(error: ResponseError) -> bool:
    """Whether the server has lost its data, or is a new node, and so does not know the functions."""
    return "not found" in str(error).lower()


def ids_of(packed: bytes) -> Ids:
    """Return user ids that Postgres has packed as big-endian 64-bit numbers."""
    return np.frombuffer(packed, dtype=">i8").astype(np.int64)


def _newest_first(arrivals: bytes, *, above: PostId, below: PostId = FIRST_POSITION) -> Ids:
    """Return the posts between two, each once."""
    ids = _read(arrivals)
    ids = ids[(ids > above) & (ids < below)]
    ids[::-1].sort()
    is_first = np.ones(len(ids), dtype=bool)
    is_first[1:] = ids[1:] != ids[:-1]  # np.unique takes twice as long
    return ids[is_first]


def _is_up_to_date(page: PageMark, arrivals: bytes) -> bool:
    """Whether everything that was pushed, and belongs on a page, is on it."""
    pushed = _read(arrivals)
    return set(pushed[pushed > page.post_ids[-1]].tolist()) <= set(page.post_ids)


def _read(arrivals: bytes) -> Ids:
    # Ten times as fast as int() for each.
    return np.fromstring(arrivals, dtype=np.int64, sep=",") if arrivals else np.empty(0, dtype=np.int64)


def _key(user: UserId) -> str:
    return f"home:{{{user}}}"
