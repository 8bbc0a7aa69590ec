"""Fan-out chunks that were given up: set aside, listed, queued again."""

from collections.abc import Collection
from dataclasses import dataclass

from feed_svc.domain import checked_size
from feed_svc.errors import DeadLetterNotFound
from feed_svc.store import DeadLetter, Store
from mesh import outbox
from mesh.events import Event
from mesh.outbox import Wakeup


@dataclass(frozen=True, slots=True)
class ListDeadLetters:
    """What was given up and not queued again."""

    store: Store

    async def __call__(self, *, page_size: int, before: int) -> tuple[list[DeadLetter], bool]:
        """Return a page below an id, newest first, and whether there is more."""
        size = checked_size(page_size, default=20, limit=100)
        found = await self.store.list_dead_letters(before=before, limit=size + 1)
        return found[:size], len(found) > size


@dataclass(frozen=True, slots=True)
class ReplayDeadLetters:
    """Queues chunks again, by way of the outbox, so that a chunk is marked if and only if it is queued."""

    store: Store
    wakeup: Wakeup

    async def __call__(self, ids: Collection[int]) -> int:
        """Return how many were queued; those replayed before are left alone. `DeadLetterNotFound`: unknown."""
        async with self.store.transaction() as connection:
            found = await self.store.lock_dead_letters(connection, ids)
            if missing := set(ids) - {one.dead_letter_id for one in found}:
                raise DeadLetterNotFound(dead_letter_id=min(missing))
            waiting = [one for one in found if not one.is_replayed]
            await outbox.add(connection, *(Event(one.subject, one.payload) for one in waiting))
            await self.store.mark_replayed(connection, [one.dead_letter_id for one in waiting])
        await self.wakeup.hint()
        return len(waiting)
