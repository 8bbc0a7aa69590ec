"""Write what a batch of log entries changes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import psycopg
from prometheus_client import Histogram

from dm_svc.domain.fold import fold
from dm_svc.domain.values import ConversationId, InboxEntry, LogEntry
from dm_svc.store.log import LogStore, OwnershipLost, RawEntry, SetAside, Step
from dm_svc.store.remembered import Remembered
from mesh.coalesce import Coalescer
from mesh.errors import Unavailable
from mesh.telemetry import get_logger

POISON = (psycopg.DataError, psycopg.IntegrityError, LookupError, ValueError, OverflowError)
"""What an entry that can never be persisted raises."""

MAX_REASON = 500
"""Characters that are kept of why an entry was set aside."""
MOST_TOGETHER = 16
"""Partitions whose batches share a transaction, at most."""
LINGER_SECONDS = 0.002
"""How long a transaction waits for batches of other partitions while they come in company."""

_log = get_logger(__name__)
_batch_size = Histogram(
    "dm_batch_entries", "Log entries of a transaction", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
)


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive entries of one partition's log, as they came and decoded."""

    raw: Sequence[RawEntry]
    decoded: dict[int, LogEntry]
    """By sequence."""
    errors: dict[int, str]
    """Why those that are not decoded could not be."""


@dataclass(frozen=True, slots=True)
class Work:
    """A batch, and its place in its partition."""

    step: Step
    batch: Batch


Told = list[InboxEntry]


class PersistEntries:
    """One transaction: messages, numbers, pointers, inboxes, and the partitions' positions.

    Batches of several partitions that wait at the same time share a transaction, so that commits grow with the load
    instead of their number. What this process wrote last it remembers, so most batches ask for nothing and cost one
    round trip. An entry that can't be decoded or persisted is set aside in the same transaction, with an alarm in the
    log, and the position moves on: one bad entry must not stop a partition.
    """

    def __init__(self, store: LogStore) -> None:
        self._store = store
        self._remembered = Remembered()
        self._together: Coalescer[Work, Told | Exception] = Coalescer(
            self._persist_together, most=MOST_TOGETHER, linger_seconds=LINGER_SECONDS
        )

    async def __call__(self, step: Step, batch: Batch) -> Told:
        """Write the batch; return the new inbox entries. `OwnershipLost` when another worker has taken over."""
        outcome = await self._together(Work(step, batch))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def _persist_together(self, works: list[Work]) -> list[Told | Exception]:
        try:
            # No key of a message is looked up: one that is used again, which happens beyond the log's own memory only,
            # can't be written, and then everything is looked up.
            told = await self._persist(works, with_keys=False)
        except (*POISON, OwnershipLost, Unavailable) as error:
            if len(works) == 1 and not isinstance(error, POISON):
                return [error]
            _log.info("persisted_apart", partitions=len(works), cause=type(error).__name__)
        else:
            by_partition: dict[int, Told] = {work.step.partition: [] for work in works}
            for partition, entry in told:
                by_partition[partition].append(entry)
            return [by_partition[work.step.partition] for work in works]
        return [await self._alone(work) for work in works]

    async def _alone(self, work: Work) -> Told | Exception:
        try:
            return await self._persist_or_set_aside(work)
        except Exception as error:  # it is the outcome of this one, not of its neighbours
            return error

    async def _persist_or_set_aside(self, work: Work) -> Told:
        batch = work.batch
        try:
            return [entry for _, entry in await self._persist([work], with_keys=True)]
        except POISON as error:
            if len(batch.raw) == 1:
                poisoned = replace(batch, decoded={}, errors={batch.raw[0].log_sequence: reason_of(error)})
                return [entry for _, entry in await self._persist([replace(work, batch=poisoned)], with_keys=True)]
        told: Told = []
        after = work.step.after
        for raw in batch.raw:
            step = replace(work.step, after=after, position=raw.log_sequence)
            told += await self._persist_or_set_aside(Work(step, replace(batch, raw=[raw])))
            after = raw.log_sequence
        return told

    async def _persist(self, works: Sequence[Work], *, with_keys: bool) -> list[tuple[int, InboxEntry]]:
        entries: list[LogEntry] = []
        partitions: dict[ConversationId, int] = {}
        fences: dict[ConversationId, int] = {}
        reasons: dict[tuple[int, int], str] = {}
        for work in works:
            step, decoded = work.step, work.batch.decoded
            ours = [decoded[raw.log_sequence] for raw in work.batch.raw if raw.log_sequence in decoded]
            entries += ours
            partitions.update((entry.conversation_id, step.partition) for entry in ours)
            fences.update((entry.conversation_id, step.fence) for entry in ours)
            reasons.update(((step.partition, sequence), reason) for sequence, reason in work.batch.errors.items())
        loaded = await self._store.load(entries, self._remembered.take(fences), with_keys=with_keys)
        changes = fold(entries, loaded)
        for refused in changes.refused:
            reasons[partitions[refused.entry.conversation_id], refused.entry.sequence] = refused.reason
        set_aside = list(_set_aside(works, reasons)) if reasons else []
        told = await self._store.commit([work.step for work in works], partitions, changes, set_aside)
        self._remembered.keep(fences, loaded.threads.values())
        _batch_size.observe(sum(len(work.batch.raw) for work in works))
        for one in set_aside:
            _log.error("dead_letter", partition=one.partition, log_sequence=one.log_sequence, reason=one.error)
        return [(partitions[entry.conversation_id], entry) for entry in told]


def _set_aside(works: Iterable[Work], reasons: Mapping[tuple[int, int], str]) -> Iterator[SetAside]:
    for work in works:
        for raw in work.batch.raw:
            reason = reasons.get((work.step.partition, raw.log_sequence))
            if reason is not None:
                yield SetAside(raw.log_sequence, raw.subject, raw.payload, work.step.partition, reason[:MAX_REASON])


def reason_of(error: Exception) -> str:
    """Say what went wrong without a word of what was written: the database's own text may quote it."""
    return f"{type(error).__name__} {getattr(error, 'sqlstate', None) or ''}".strip()
