"""Keep the pending inboxes up to date."""

import asyncio
from collections.abc import Sequence

from dm_svc.cache import Cache
from dm_svc.domain.values import InboxEntry
from mesh.redis import TROUBLE
from mesh.telemetry import get_logger

GATHER_SECONDS = 0.1
"""How long new entries wait for others: each write wakes Redis, which syncs it. Who looks meanwhile reads Postgres."""

_log = get_logger(__name__)


class FillPending:
    """Writes new entries to the pending inboxes, many together, in the order in which they come.

    Nobody waits for it and nothing is tried again: what is missing sends readers to Postgres. What was taken back and
    could not be dropped here is dropped by `EraseUnsent`.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._waiting: list[InboxEntry] = []
        self._news = asyncio.Event()
        self._in_turn = asyncio.Lock()

    def __call__(self, entries: Sequence[InboxEntry]) -> None:
        """Have entries written soon."""
        self._waiting += entries
        self._news.set()

    async def run(self) -> None:
        """Write what comes, until cancelled."""
        while True:
            await self._news.wait()
            await asyncio.sleep(GATHER_SECONDS)
            await self.at_once()

    async def at_once(self) -> None:
        """Write what waits; return when Redis has it, or has failed."""
        async with self._in_turn:
            entries, self._waiting = self._waiting, []
            self._news.clear()
            if not entries:
                return
            try:
                await self._cache.push(entries)
            except TROUBLE as error:
                _log.warning("pending_inbox_unwritten", error=repr(error))
