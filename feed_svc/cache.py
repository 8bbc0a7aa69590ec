"""Redis: pushed home timelines.

| key | type | holds | life | written by | read by | rebuilt from |
| --- | --- | --- | --- | --- | --- | --- |
| `tl:{<user id>}` | sorted set | post ids, `floor` | 30 days from the last read | fan-out, build | feed | Postgres |
| `tlb:{<user id>}` | string | token of who builds the timeline | 30 s | build | build | - |

A post's score is its negated place, so that the newest stands first, where an insert finds its place at once. The
place is the post id without its lowest ten bits, which a double holds exactly; posts that share a score are put in
order by id after reading. The member `floor` is scored with the place from which on down the timeline knows
nothing, -1 for a complete one. A set without it is no timeline, so a push can never make a timeline that looks
complete.
"""

import secrets
from collections.abc import Sequence

from feed_svc.domain import FIRST_POSITION, PostId, Timeline, UserId
from mesh import redis
from mesh.redis import AnyRedis

FLOOR = b"floor"
COMPLETE = -1
LIFE_SECONDS = 30 * 24 * 3600
BUILD_SECONDS = 30
TRIM_AT_ONCE = 50
"""Posts that a timeline may have beyond its length before they are cut off together."""
PLACE_BITS = 10


class Cache:
    """The service's Redis."""

    def __init__(self, client: AnyRedis, *, timeline_length: int) -> None:
        self._client = client
        self._timeline_length = timeline_length

    async def load_functions(self) -> None:
        """Install the server-side functions; safe to repeat."""
        await redis.load_functions(self._client, __package__, "lua/timelines.lua")

    async def push_post(self, post_id: PostId, followers: Sequence[UserId]) -> int:
        """Put a post into the timelines of those followers who have one; return how many. Safe to repeat."""
        async with self._client.pipeline(transaction=False) as pipeline:
            for follower in followers:
                arguments = (_score(post_id), post_id, self._timeline_length, TRIM_AT_ONCE)
                pipeline.fcall("heliograph_push_post", 1, _timeline_key(follower), *arguments)
            pushed: list[int] = await pipeline.execute()
        return sum(pushed)

    async def get_timeline(self, user_id: UserId, *, before: PostId, limit: int) -> Timeline | None:
        """Return up to `limit` posts below `before` and above the floor, newest first; `None` without a timeline."""
        key = _timeline_key(user_id)
        async with self._client.pipeline(transaction=False) as pipeline:
            pipeline.zscore(key, FLOOR)
            # Those that share the score of `before` come again and are passed over below.
            pipeline.zrange(key, _score(before), "+inf", byscore=True, offset=0, num=limit + TRIM_AT_ONCE)
            pipeline.expire(key, LIFE_SECONDS)
            floor, members, _ = await pipeline.execute()
        if floor is None:
            return None
        post_ids = sorted((PostId(int(member)) for member in members if member != FLOOR), reverse=True)
        known = [post_id for post_id in post_ids if post_id < before and _score(post_id) < floor]
        return Timeline(post_ids=tuple(known[:limit]), is_end=floor == COMPLETE and len(known) <= limit)

    async def open_timeline(self, user_id: UserId) -> str | None:
        """Begin to build a timeline, so that pushes reach it from now on.

        Returns the token for `fill_timeline`, `None` when there is one already or somebody else builds it.
        """
        token = secrets.token_hex(8)
        arguments = (token, BUILD_SECONDS, _score(FIRST_POSITION))
        opened = await self._client.fcall(
            "heliograph_open_timeline", 2, _timeline_key(user_id), _build_key(user_id), *arguments
        )
        return token if opened else None

    async def fill_timeline(
        self, user_id: UserId, token: str, post_ids: Sequence[PostId], *, is_complete: bool
    ) -> bool:
        """Finish a timeline with its posts, newest first; unless it is complete, the last one becomes the floor.

        Returns `False` when the timeline was dropped since it was opened: the next read builds it anew.
        """
        floor = COMPLETE if is_complete else _score(post_ids[-1])
        members = [part for post_id in post_ids for part in (_score(post_id), post_id)]
        return bool(
            await self._client.fcall(
                "heliograph_fill_timeline",
                2,
                _timeline_key(user_id),
                _build_key(user_id),
                *(token, floor, LIFE_SECONDS, *members),
            )
        )

    async def drop_timelines(self, *user_ids: UserId) -> None:
        """Forget timelines, also those being built; the next read is by pull and builds anew. Safe to repeat."""
        async with self._client.pipeline(transaction=False) as pipeline:
            for user_id in user_ids:
                pipeline.delete(_timeline_key(user_id), _build_key(user_id))
            await pipeline.execute()


def _timeline_key(user_id: UserId) -> str:
    return f"tl:{{{user_id}}}"


def _build_key(user_id: UserId) -> str:
    return f"tlb:{{{user_id}}}"


def _score(post_id: PostId) -> int:
    return -(post_id >> PLACE_BITS)
