"""Remove what remains elsewhere of messages that were taken back."""

import asyncio
from dataclasses import dataclass

from dm_svc.cache import Cache
from dm_svc.domain.rules import members_of
from dm_svc.events import Log
from dm_svc.peers.media import Media
from dm_svc.store.care import CareStore, PendingErasure
from mesh.errors import HeliographError, NotFound
from mesh.redis import TROUBLE
from mesh.telemetry import get_logger

BATCH = 100
AT_ONCE = 8
"""Removed side by side: one photo whose removal hangs must not hold the others up."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EraseUnsent:
    """The tables forgot the text with the commit; the log's entry, what was announced, the photo, and a pending inbox
    that still has it follow here.
    """

    store: CareStore
    cache: Cache
    log: Log
    media: Media

    async def __call__(self) -> int:
        """Remove what waits; return how much was removed. What fails is tried again, after the others."""
        places = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            tries = [
                group.create_task(self._try(erasure, places)) for erasure in await self.store.list_erasures(limit=BATCH)
            ]
        return sum(one.result() for one in tries)

    async def _try(self, erasure: PendingErasure, places: asyncio.Semaphore) -> bool:
        async with places:
            try:
                await self._erase(erasure)
            except (HeliographError, *TROUBLE) as error:
                _log.warning("erasure_failed", partition=erasure.partition, cause=repr(error))
                await self.store.postpone_erasure(erasure)
                return False
        return True

    async def _erase(self, erasure: PendingErasure) -> None:
        members = members_of(erasure.conversation_id) or ()
        await self.log.erase(erasure.partition, erasure.log_sequence, announced_to=members)
        await self.cache.forget(members)
        if erasure.upload_id and erasure.reference:
            try:
                await self.media.delete_photo(erasure.upload_id, reference=erasure.reference)
            except NotFound:
                _log.info("photo_is_gone", upload_id=erasure.upload_id)
        await self.store.remove_erasure(erasure)
