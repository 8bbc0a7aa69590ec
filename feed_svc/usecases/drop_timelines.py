"""Forget timelines whose owner's edges changed."""

from dataclasses import dataclass

from feed_svc.cache import Cache
from feed_svc.domain import UserId
from mesh.redis import TROUBLE
from mesh.telemetry import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DropTimelines:
    """Called right after the commit, so that the caller's next feed shows the change, and again by the event of it.

    When Redis is away now, the event does it later; until then the rules at reading hide what must not be seen.
    """

    cache: Cache

    async def __call__(self, *user_ids: UserId) -> None:
        """Forget these people's timelines; the next read builds them anew. Never raises for trouble of Redis."""
        try:
            await self.cache.drop_timelines(*user_ids)
        except TROUBLE as error:
            _log.warning("timeline_drop_failed", error=repr(error))
