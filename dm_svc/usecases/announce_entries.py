"""Tell of what was committed."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import chain
from operator import attrgetter
from types import MappingProxyType

from dm_svc.domain.values import EntryKind, InboxEntry
from dm_svc.events import Announcer, Log, MessagingUnavailable
from dm_svc.store.log import LogStore, Position
from dm_svc.usecases.fill_pending import FillPending
from mesh.coalesce import Coalescer

MOST_TOGETHER = 64
"""Batches of partitions that are announced together, at most."""
RETRY_SECONDS = 0.25
WINDOW = 10_000
"""Among how many of a person's newest entries those to be announced again are looked for."""
NO_POSITIONS: Mapping[int, int] = MappingProxyType({})


class AnnounceEntries:
    """The events at once, the pending inboxes a moment later: who looks before an inbox is filled reads Postgres.

    What partitions committed together is announced together.
    """

    def __init__(self, *, store: LogStore, log: Log, announcer: Announcer, fill_pending: FillPending) -> None:
        self._store = store
        self._log = log
        self._announcer = announcer
        self._fill_pending = fill_pending
        self._together: Coalescer[tuple[Sequence[InboxEntry], Mapping[int, int]], None] = Coalescer(
            self._announce, most=MOST_TOGETHER
        )

    async def __call__(self, entries: Sequence[InboxEntry], positions: Mapping[int, int] = NO_POSITIONS) -> None:
        """Tell of entries, and of the `positions` up to which partitions are in the tables; return when JetStream has
        all events. Tries until then. Safe to repeat.
        """
        if entries or positions:
            await self._together((entries, positions))

    async def _announce(self, parts: list[tuple[Sequence[InboxEntry], Mapping[int, int]]]) -> list[None]:
        # A person's entries may have come from several partitions.
        entries = sorted(chain.from_iterable(entries for entries, _ in parts), key=attrgetter("useq"))
        positions = {partition: position for _, these in parts for partition, position in these.items()}
        self._fill_pending(entries)
        await self._tell(entries, positions)
        if any(entry.kind is EntryKind.UNSENT for entry in entries):
            await self._fill_pending.at_once()
        return [None] * len(parts)

    async def _tell(self, entries: Sequence[InboxEntry], positions: Mapping[int, int]) -> None:
        while True:
            try:
                await self._announcer.deliver(entries, positions)
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
