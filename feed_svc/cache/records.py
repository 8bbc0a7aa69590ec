"""Records of posts and people: in this process for what is read most, in Redis for what any process has read.

A post's record never changes, so a copy is never wrong; whether the post may be shown is asked of Postgres each time. A
profile's copy is at most ten seconds behind.
"""

import random
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from typing import Generic, TypeVar

from feed_svc.domain import AuthorSummary, PostId, Record, UserId
from mesh.redis import AnyRedis, get_many

K = TypeVar("K", bound=int)
V = TypeVar("V")

POST_SECONDS = 24 * 3600
AUTHOR_SECONDS = 600
POSTS_AT_HAND = 50_000
AUTHORS_AT_HAND = 50_000
AUTHOR_AT_HAND_SECONDS = 8.0
VERSION_DIGITS = 20


class Records:
    """Encoded posts and profiles."""

    def __init__(self, client: AnyRedis, *, now: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._posts: _Kept[PostId, Record] = _Kept(POSTS_AT_HAND, seconds=None, now=now)
        self._authors: _Kept[UserId, AuthorSummary] = _Kept(AUTHORS_AT_HAND, seconds=AUTHOR_AT_HAND_SECONDS, now=now)

    def at_hand(
        self, posts: Iterable[PostId], authors: Iterable[UserId]
    ) -> tuple[dict[PostId, Record], dict[UserId, AuthorSummary]]:
        """Return what this process holds."""
        return self._posts.among(posts), self._authors.among(authors)

    async def get(
        self, posts: Collection[PostId], authors: Collection[UserId]
    ) -> tuple[dict[PostId, Record], dict[UserId, AuthorSummary]]:
        """Return what Redis holds, in one round trip."""
        values = await get_many(self._client, [*map(_post, posts), *map(_author, authors)])
        records = {
            post_id: Record(post_id, UserId(int.from_bytes(value[:8], "big")), value[8:])
            for post_id, value in zip(posts, values, strict=False)
            if value is not None
        }
        summaries = {
            author: AuthorSummary(author, int(value[:VERSION_DIGITS]), value[VERSION_DIGITS:])
            for author, value in zip(authors, values[len(posts) :], strict=True)
            if value is not None
        }
        self.keep(records.values(), summaries.values())
        return records, summaries

    def keep(self, records: Iterable[Record], summaries: Iterable[AuthorSummary]) -> None:
        """Keep in this process what was read."""
        for record in records:
            self._posts.put(record.post_id, record)
        for summary in summaries:
            self._authors.put(summary.user_id, summary)

    async def put(self, records: Collection[Record], summaries: Collection[AuthorSummary]) -> None:
        """Keep in Redis what Postgres said; a profile never replaces a newer one."""
        async with self._client.pipeline(transaction=False) as pipeline:
            for record in records:
                value = record.author_id.to_bytes(8, "big") + record.body
                pipeline.set(_post(record.post_id), value, ex=_about(POST_SECONDS))
            for one in summaries:
                arguments = (f"{one.version:0{VERSION_DIGITS}}", _about(AUTHOR_SECONDS), one.body)
                pipeline.fcall("heliograph_keep_author", 1, _author(one.user_id), *arguments)
            await pipeline.execute()

    def forget_post(self, post_id: PostId) -> None:
        """Drop a deleted post from this process."""
        self._posts.drop(post_id)

    def forget_author(self, author: UserId) -> None:
        """Drop a changed profile from this process."""
        self._authors.drop(author)

    async def delete_post(self, post_id: PostId) -> None:
        """Drop a deleted post everywhere but in other processes."""
        self.forget_post(post_id)
        await self._client.delete(_post(post_id))


class _Kept(Generic[K, V]):
    """The values used last, at most so many, and where `seconds` is said not longer than that."""

    def __init__(self, size: int, *, seconds: float | None, now: Callable[[], float]) -> None:
        self._size = size
        self._seconds = seconds
        self._now = now
        self._values: OrderedDict[K, tuple[V, float]] = OrderedDict()

    def among(self, keys: Iterable[K]) -> dict[K, V]:
        oldest = self._now() - self._seconds if self._seconds is not None else float("-inf")
        found = {}
        for key in keys:
            if (entry := self._values.get(key)) is not None and entry[1] >= oldest:
                self._values.move_to_end(key)
                found[key] = entry[0]
        return found

    def put(self, key: K, value: V) -> None:
        self._values[key] = (value, self._now())
        self._values.move_to_end(key)
        if len(self._values) > self._size:
            self._values.popitem(last=False)

    def drop(self, key: K) -> None:
        self._values.pop(key, None)


def _about(seconds: int) -> int:
    return int(seconds * random.uniform(0.8, 1.2))  # noqa: S311 - not a secret


def _post(post_id: PostId) -> str:
    return f"post:{post_id}"


def _author(user_id: UserId) -> str:
    return f"author:{user_id}"
