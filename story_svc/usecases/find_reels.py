"""Find the live stories of authors: Redis, and where it does not know, Postgres."""

from collections.abc import Collection
from dataclasses import dataclass

from mesh.errors import Unavailable
from mesh.redis import TROUBLE
from mesh.telemetry import get_logger
from story_svc.cache import Cache, Lease, LeasedReels
from story_svc.domain import Reel, UserId
from story_svc.store import Store

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FindReels:
    """The one way to what is live. What comes back may have ended meanwhile: the caller looks at its clock last."""

    store: Store
    cache: Cache

    async def __call__(self, authors: Collection[UserId]) -> dict[UserId, Reel]:
        """Return the reels that are not empty, by author; deleted stories are in none of them."""
        if not authors:
            return {}
        try:
            known = await self.cache.reels.get(authors)
        except TROUBLE as error:
            _log.warning("reels_read_failed", error=repr(error))
            return await self._without_primary(authors)
        return await self.complete(known)

    async def complete(self, known: LeasedReels) -> dict[UserId, Reel]:
        """Return the same of authors about whom Redis was asked already, having loaded what it does not know."""
        if not known.missing:
            return known.reels
        loaded = await self.store.live_entries(known.missing)
        await self._keep(known.lease, loaded)
        return known.reels | {author: reel for author, reel in loaded.items() if reel}

    async def _without_primary(self, authors: Collection[UserId]) -> dict[UserId, Reel]:
        """Ask Postgres, which knows; and only when it is away too, the replica, which may not know the latest."""
        try:
            loaded = await self.store.live_entries(authors)
        except Unavailable as unavailable:
            try:
                return await self.cache.reels.get_from_replica(authors)
            except TROUBLE as error:
                raise unavailable from error
        return {author: reel for author, reel in loaded.items() if reel}

    async def _keep(self, lease: Lease, loaded: dict[UserId, Reel]) -> None:
        try:
            await self.cache.reels.fill(lease, loaded)
        except TROUBLE as error:
            _log.warning("reels_fill_failed", error=repr(error))
