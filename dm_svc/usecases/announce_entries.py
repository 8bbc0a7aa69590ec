"""Tell of what was committed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from dm_svc.cache import Cache
from dm_svc.domain.values import InboxEntry
from dm_svc.events import Announcer, Log, MessagingUnavailable
from dm_svc.store.log import LogStore, Position
from mesh.redis import TROUBLE
from mesh.telemetry import get_logger

RETRY_SECONDS = 0.25
WINDOW = 10_000
"""Among how many of a person's newest entries those to be announced again are looked for."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AnnounceEntries:
    """The pending inboxes and the events, at the same time: who looks before an inbox is filled reads Postgres."""

    store: LogStore
    cache: Cache
    log: Log
    announcer: Announcer

    async def __call__(self, entries: Sequence[InboxEntry]) -> None:
        """Return when JetStream has all events; tries until then. Safe to repeat."""
        if not entries:
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._fill(entries))
            group.create_task(self._tell(entries))

    async def _fill(self, entries: Sequence[InboxEntry]) -> None:
        try:
            await self.cache.push(entries)
        except TROUBLE as error:
            _log.warning("pending_inbox_unwritten", error=repr(error))

    async def _tell(self, entries: Sequence[InboxEntry]) -> None:
        while True:
            try:
                await self.announcer.deliver(entries)
            except MessagingUnavailable:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def again(self, partition: int, place: Position) -> None:
        """Announce what an earlier owner may have committed without announcing it."""
        users = set()
        for sequence in range(place.announced + 1, place.position + 1):
            try:
                entry = await self.log.get(partition, sequence)
            except ValueError:
                continue  # a dead letter: it has no effect to tell of
            if entry is not None:
                users |= {entry.actor_id, entry.other_id}
        if users:
            await self(
                await self.store.entries_since(partition, after=place.announced, user_ids=sorted(users), window=WINDOW)
            )
