"""What the tray of a viewer is made of, in one round trip."""

from dataclasses import dataclass
from typing import cast

import orjson

from story_svc.cache.reels import KEYS, LeasedReels, Reels
from story_svc.cache.server import READ_TRAY, Lease, Server
from story_svc.cache.viewers import key_of, unpack
from story_svc.domain import StoryId, UserId

BYTES_AT_ONCE = 25_000
"""Of a list of authors: about a thousand of them, with ids of 64 bits. Longer lists are asked for in several calls."""


@dataclass(frozen=True, slots=True)
class TrayState:
    """What is known; `None` where it has to be loaded."""

    seen: frozenset[StoryId] | None
    reels: LeasedReels | None
    """Of those whom the viewer follows, and their own."""
    lease: Lease
    """Under which what the viewer has seen and whom they follow may be filled."""


class Trays:
    """Reads of a viewer's hash together with the reels that it leads to."""

    def __init__(self, server: Server, reels: Reels) -> None:
        self._server = server
        self._reels = reels

    async def get(self, viewer: UserId) -> TrayState:
        """Return what is known of a viewer's tray.

        The server follows the list of authors by itself. In a cluster, and for very many authors, it takes a second
        round trip.
        """
        keys = (key_of(viewer),) if self._server.is_cluster else (key_of(viewer), *KEYS)
        [reply], lease = await self._server.read(READ_TRAY, [(keys, BYTES_AT_ONCE)])
        seen, authors, *lines = reply
        reels: LeasedReels | None = None
        if lines:
            reels = self._reels.read_lines([lines], lease)
        elif authors is not None:
            reels = await self._reels.get_listed(orjson.loads(authors))
        known = None if seen is None else cast(frozenset[StoryId], frozenset(unpack(seen)))
        return TrayState(known, reels, lease)
