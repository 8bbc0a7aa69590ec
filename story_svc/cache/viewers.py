"""What is known of a viewer: which stories they have seen, whom they follow."""

import array
from collections.abc import Iterable
from typing import cast

import orjson

from mesh.redis import AnyRedis
from story_svc.cache.reels import listed
from story_svc.cache.server import FILL, Lease, Server, life_ms
from story_svc.domain import StoryId, UserId

SEEN_MS = 600_000
AUTHORS_MS = 60_000
"""Graph events drop the list at once; this bounds what a lost event can do."""
LAST_KNOWN_MS = 600_000
VIEWER_KEY_MS = 7_200_000

SEEN, AUTHORS, LAST_KNOWN = b"seen", b"authors", b"last"


class Viewers:
    """One leased hash a viewer."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def last_known_followees(self, viewer: UserId) -> frozenset[UserId] | None:
        """Return whom a viewer followed in the last 10 minutes, for when feed_svc can't answer; `None` if unknown."""
        key = key_of(viewer)

        async def get(client: AnyRedis) -> bytes | None:
            return cast(bytes | None, await client.hget(key, LAST_KNOWN))

        value = await self._server.either(get)
        return None if value is None else frozenset(map(UserId, unpack(value)))

    async def fill_seen(self, viewer: UserId, lease: Lease, seen: Iterable[StoryId]) -> None:
        """Keep the live stories that a viewer has seen, loaded under this lease."""
        await self._fill(viewer, lease, SEEN_MS, SEEN, _pack(seen))

    async def fill_followees(self, viewer: UserId, lease: Lease, followees: Iterable[UserId]) -> None:
        """Keep whom a viewer follows, loaded under this lease: as the authors of their tray, and as the last known
        list.
        """
        known = list(followees)
        if await self._fill(viewer, lease, AUTHORS_MS, AUTHORS, orjson.dumps(listed([viewer, *known]))):
            await self._server.primary.hsetex(key_of(viewer), LAST_KNOWN, _pack(known), px=LAST_KNOWN_MS)

    async def forget_seen(self, viewer: UserId) -> None:
        """Drop what a viewer has seen; the next tray loads it."""
        await self._server.primary.hdel(key_of(viewer), SEEN)

    async def forget_followees(self, viewer: UserId, *, also_last_known: bool) -> None:
        """Drop whom a viewer follows; with `also_last_known` it isn't used in an emergency either."""
        fields = (AUTHORS, LAST_KNOWN) if also_last_known else (AUTHORS,)
        await self._server.primary.hdel(key_of(viewer), *fields)

    async def _fill(self, viewer: UserId, lease: Lease, at_most_ms: int, field: bytes, value: bytes) -> bool:
        if lease.token is None:
            return False
        arguments = (lease.token, life_ms(at_most_ms), VIEWER_KEY_MS, field, value)
        return bool(await self._server.primary.fcall(FILL, 1, key_of(viewer), *arguments))


def key_of(viewer: UserId) -> bytes:
    """Return the key of a viewer's hash."""
    return b"story:viewer:{%d}" % viewer


def _pack(ids: Iterable[int]) -> bytes:
    return array.array("q", ids).tobytes()


def unpack(value: bytes) -> "array.array[int]":
    """Return ids as they were kept."""
    return array.array("q", value)
