"""Dead letters: log entries that could not be persisted, listed, shown and replayed."""

from collections.abc import Sequence
from dataclasses import dataclass

from dm_svc.domain import rules
from dm_svc.domain.fold import fold
from dm_svc.domain.values import DeadLetter, LogEntry
from dm_svc.errors import DeadLetterNotFound
from dm_svc.events import decode_entry
from dm_svc.store.care import CareStore, DeadEntry
from dm_svc.store.changes import new_entries, write
from dm_svc.store.loading import load, wanted_of
from dm_svc.usecases.announce_entries import AnnounceEntries
from dm_svc.usecases.persist_entries import POISON, reason_of

MAX_PAGE_SIZE = 100
FIRST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class DeadLetterPage:
    """Some dead letters, newest first, and whether more follow."""

    dead_letters: tuple[DeadLetter, ...]
    has_more: bool


@dataclass(frozen=True, slots=True)
class ListDeadLetters:
    """What waits for somebody to look at it."""

    store: CareStore

    async def __call__(self, *, before: int, page_size: int, include_replayed: bool) -> DeadLetterPage:
        """Return a page below an id."""
        size = rules.checked_page_size(page_size, limit=MAX_PAGE_SIZE)
        found = await self.store.list_dead_letters(before=before, limit=size + 1, include_replayed=include_replayed)
        return DeadLetterPage(tuple(found[:size]), has_more=len(found) > size)


@dataclass(frozen=True, slots=True)
class GetDeadLetter:
    """One of them with what it holds."""

    store: CareStore

    async def __call__(self, dead_letter_id: int) -> tuple[DeadLetter, LogEntry | None]:
        """Return it with its entry, `None` when its bytes are none; `DeadLetterNotFound` when there is none."""
        found = (await self.store.get_dead_letters([dead_letter_id])).get(dead_letter_id)
        if found is None:
            raise DeadLetterNotFound(dead_letter_id=dead_letter_id)
        dead = DeadLetter(
            dead_letter_id=found.dead_letter_id,
            partition=found.partition,
            log_sequence=found.log_sequence,
            subject=found.subject,
            error=found.error,
            size_bytes=len(found.payload),
            dead_time=found.dead_time,
            replay_time=found.replay_time,
            attempts=found.attempts,
        )
        try:
            return dead, decode_entry(found.payload, sequence=found.log_sequence, partition=found.partition)
        except ValueError:
            return dead, None


@dataclass(frozen=True, slots=True)
class ReplayDeadLetters:
    """Puts dead letters into the tables, at the end of their conversations: what came after them has been shown."""

    store: CareStore
    announce: AnnounceEntries

    async def __call__(self, dead_letter_ids: Sequence[int]) -> dict[int, str]:
        """Return for each why it still can't be persisted; empty when it is in the tables. Safe to repeat."""
        found = await self.store.get_dead_letters(dead_letter_ids)
        if missing := set(dead_letter_ids) - found.keys():
            raise DeadLetterNotFound(dead_letter_id=min(missing))
        return {dead_letter_id: await self._replay(found[dead_letter_id]) for dead_letter_id in dead_letter_ids}

    async def _replay(self, dead: DeadEntry) -> str:
        if dead.replay_time is not None:
            return ""
        await self.store.note_attempt(dead.dead_letter_id)
        try:
            entry = decode_entry(dead.payload, sequence=dead.log_sequence, partition=dead.partition)
            async with self.store.transaction() as connection:
                commit_time = await self.store.lock_for_replay(connection, dead)
                if commit_time is None:
                    return ""
                changes = fold([entry], await load(connection, wanted_of([entry])))
                if changes.refused:
                    return changes.refused[0].reason
                written = await write(connection, {entry.conversation_id: dead.partition}, changes)
                told = new_entries(changes, await written.rows() if written else [], commit_time)
                await self.store.note_replay(connection, dead.dead_letter_id)
        except POISON as error:
            return reason_of(error)
        await self.announce(told)
        return ""
