"""What is known of a viewer: which stories they have seen, whom they follow."""

import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from mesh.redis import AnyRedis
from story_svc.cache.server import FILL, READ, Lease, Server
from story_svc.domain import StoryId, UserId

SEEN_MS = 600_000
FOLLOWEES_MS = 60_000
"""Graph events drop the list at once; this bounds what a lost event can do."""
LAST_KNOWN_MS = 600_000
VIEWER_KEY_MS = 7_200_000

SEEN, FOLLOWEES, LAST_KNOWN = b"seen", b"followees", b"last"


@dataclass(frozen=True, slots=True)
class ViewerState:
    """What is known of a viewer; `None` where it has to be loaded."""

    seen: frozenset[StoryId] | None
    followees: frozenset[UserId] | None
    lease: Lease


class Viewers:
    """One leased hash a viewer."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def get(self, viewer: UserId) -> ViewerState:
        """Return what is known of a viewer."""
        replies, lease = await self._server.read(READ, [([_key(viewer)], (SEEN, FOLLOWEES))])
        found, absent = replies[0]
        held = dict(zip(found[::2], found[1::2], strict=True))
        seen, followees = (None if name in absent else _unpack(held.get(name, b"")) for name in (SEEN, FOLLOWEES))
        return ViewerState(
            seen=None if seen is None else frozenset(map(StoryId, seen)),
            followees=None if followees is None else frozenset(map(UserId, followees)),
            lease=lease,
        )

    async def last_known_followees(self, viewer: UserId) -> frozenset[UserId] | None:
        """Return whom a viewer followed in the last 10 minutes, for when feed_svc can't answer; `None` if unknown."""
        key = _key(viewer)

        async def get(client: AnyRedis) -> bytes | None:
            return cast(bytes | None, await client.hget(key, LAST_KNOWN))

        value = await self._server.either(get)
        return None if value is None else frozenset(map(UserId, _unpack(value)))

    async def fill_seen(self, viewer: UserId, lease: Lease, seen: Iterable[StoryId]) -> None:
        """Keep the live stories that a viewer has seen, loaded under this lease."""
        await self._fill(viewer, lease, SEEN_MS, SEEN, seen)

    async def fill_followees(self, viewer: UserId, lease: Lease, followees: Iterable[UserId]) -> None:
        """Keep whom a viewer follows, loaded under this lease; also as the last known list."""
        known = list(followees)
        if await self._fill(viewer, lease, FOLLOWEES_MS, FOLLOWEES, known):
            await self._server.primary.hsetex(_key(viewer), LAST_KNOWN, _pack(known), px=LAST_KNOWN_MS)

    async def forget_seen(self, viewer: UserId) -> None:
        """Drop what a viewer has seen; the next tray loads it."""
        await self._server.primary.hdel(_key(viewer), SEEN)

    async def forget_followees(self, viewer: UserId, *, also_last_known: bool) -> None:
        """Drop whom a viewer follows; with `also_last_known` it isn't used in an emergency either."""
        fields = (FOLLOWEES, LAST_KNOWN) if also_last_known else (FOLLOWEES,)
        await self._server.primary.hdel(_key(viewer), *fields)

    async def _fill(self, viewer: UserId, lease: Lease, life_ms: int, field: bytes, ids: Iterable[int]) -> bool:
        if lease.token is None:
            return False
        arguments = (lease.token, life_ms, VIEWER_KEY_MS, field, _pack(ids))
        return bool(await self._server.primary.fcall(FILL, 1, _key(viewer), *arguments))


def _key(viewer: UserId) -> str:
    return f"story:viewer:{{{viewer}}}"


def _pack(ids: Iterable[int]) -> bytes:
    return array.array("q", ids).tobytes()


def _unpack(value: bytes) -> "array.array[int]":
    return array.array("q", value)
