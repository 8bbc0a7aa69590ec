"""Tell of what was committed."""

import asyncio
from collections.abc import Sequence
from itertools import chain
from operator import attrgetter

from dm_svc.cache import Cache
from dm_svc.domain.values import InboxEntry
from dm_svc.events import Announcer, Log, MessagingUnavailable
from dm_svc.store.log import LogStore, Position
from mesh.coalesce import Coalescer
from mesh.redis import TROUBLE
from mesh.telemetry import get_logger

MOST_TOGETHER = 64
"""Batches of partitions that are announced together, at most."""
RETRY_SECONDS = 0.25
WINDOW = 10_000
"""Among how many of a person's newest entries those to be announced again are looked for."""

_log = get_logger(__name__)


class AnnounceEntries:
    """The pending inboxes and the events, at the same time: who looks before an inbox is filled reads Postgres.

    What partitions committed together is announced together.
    """

    def __init__(self, *, store: LogStore, cache: Cache, log: Log, announcer: Announcer) -> None:
        self._store = store
        self._cache = cache
        self._log = log
        self._announcer = announcer
        self._together: Coalescer[Sequence[InboxEntry], None] = Coalescer(self._announce, most=MOST_TOGETHER)

    async def __call__(self, entries: Sequence[InboxEntry]) -> None:
        """Return when JetStream has all events; tries until then. Safe to repeat."""
        if entries:
            await self._together(entries)

    async def _announce(self, parts: list[Sequence[InboxEntry]]) -> list[None]:
        # A person's entries may have come from several partitions.
        entries = sorted(chain.from_iterable(parts), key=attrgetter("useq"))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._fill(entries))
            group.create_task(self._tell(entries))
        return [None] * len(parts)

    async def _fill(self, entries: Sequence[InboxEntry]) -> None:
        try:
            await self._cache.push(entries)
        except TROUBLE as error:
            _log.warning("pending_inbox_unwritten", error=repr(error))

    async def _tell(self, entries: Sequence[InboxEntry]) -> None:
        while True:
            try:
                await self._announcer.deliver(entries)
            except MessagingUnavailable:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def again(self, partition: int, place: Position) -> None:
        """Announce what an earlier owner may have committed without announcing it."""
        users = set()
        for sequence in range(place.announced + 1, place.position + 1):
            try:
                entry = await self._log.get(partition, sequence)
            except ValueError:
                continue  # a dead letter: it has no effect to tell of
            if entry is not None:
                users |= {entry.actor_id, entry.other_id}
        if users:
            await self(
                await self._store.entries_since(partition, after=place.announced, user_ids=sorted(users), window=WINDOW)
            )
