"""Find whom a viewer follows."""

from dataclasses import dataclass

from mesh.errors import DeadlineExceeded, Unavailable
from mesh.redis import TROUBLE
from mesh.telemetry import get_logger
from story_svc.cache import Cache, Lease
from story_svc.domain import Followees, UserId
from story_svc.peers import Graph

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FindFollowees:
    """From feed_svc, kept for a minute and dropped by graph events; while feed_svc is away, the last known list."""

    cache: Cache
    graph: Graph

    async def load(self, viewer: UserId, lease: Lease) -> Followees:
        """Ask feed_svc, since the cache does not know; keep the answer under the lease.

        Raises what feed_svc says, `Unavailable` among it, when no list of the last 10 minutes is known either.
        """
        try:
            followees = await self.graph.followees(viewer)
        except (Unavailable, DeadlineExceeded):
            return await self.last_known(viewer)
        try:
            await self.cache.viewers.fill_followees(viewer, lease, followees)
        except TROUBLE as error:
            _log.warning("followees_fill_failed", error=repr(error))
        return Followees(frozenset(followees))

    async def last_known(self, viewer: UserId) -> Followees:
        """Return the list of the last 10 minutes, stale; raise the error under way when there is none."""
        try:
            known = await self.cache.viewers.last_known_followees(viewer)
        except TROUBLE as error:
            _log.warning("followees_read_failed", error=repr(error))
            known = None
        if known is None:
            raise Unavailable("who follows whom can't be had right now; retry soon")
        return Followees(known, is_stale=True)
