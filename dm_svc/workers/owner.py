"""The owner of one partition: reads its log in order, persists, announces."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from prometheus_client import Counter, Gauge

from dm_svc import wire
from dm_svc.domain.values import InboxEntry, LogEntry
from dm_svc.events import log_stream
from dm_svc.store.log import LogStore, RawEntry, Step
from dm_svc.usecases.announce_entries import AnnounceEntries
from dm_svc.usecases.persist_entries import Batch, PersistEntries
from mesh import cancellation
from mesh.jetstream import JetStream, Received
from mesh.telemetry import get_logger

_log = get_logger(__name__)
_persisted = Counter("dm_log_entries_persisted", "Log entries whose effects are in the tables")
_dead = Counter("dm_dead_letters", "Log entries that were set aside")
_position = Gauge("dm_partition_position", "Sequence up to which a partition is in the tables", ["partition"])


@dataclass(frozen=True, slots=True)
class Owner:
    """One partition in the hands of this process."""

    partition: int
    jetstream: JetStream
    store: LogStore
    persist: PersistEntries
    announce: AnnounceEntries
    batch_size: int

    async def run(self) -> None:
        """Work until cancelled, or until another worker has taken over (`OwnershipLost`).

        While one batch is announced, the next one is persisted; the position up to which all is announced is
        written with the batch after it. A crash in between announces again and skips nothing.
        """
        place = await self.store.raise_fence(self.partition)
        _log.info("partition_taken", partition=self.partition, position=place.position, fence=place.fence)
        await self.announce.again(self.partition, place)
        done = Step(
            self.partition, place.fence, after=place.position, position=place.position, announced=place.position
        )
        announcing: asyncio.Task[None] | None = None
        try:
            async for received in self.jetstream.read_in_order(
                log_stream(self.partition), after=place.position, batch=self.batch_size
            ):
                announced = done.announced
                if announcing is not None and announcing.done():
                    await announcing
                    announced = done.position
                last = received[-1].stream_sequence
                step = Step(self.partition, place.fence, after=done.position, position=last, announced=announced)
                told = await self._persist(step, received)
                done = step
                if announcing is not None:
                    await announcing
                announcing = asyncio.create_task(self.announce(told, {step.partition: step.position}))
        finally:
            await self._leave(done, announcing)

    async def _persist(self, step: Step, received: Sequence[Received]) -> list[InboxEntry]:
        batch = self._decode(received)
        told = await self.persist(step, batch)
        _persisted.inc(len(received))
        _dead.inc(len(batch.errors))
        _position.labels(str(self.partition)).set(step.position)
        return told

    def _decode(self, received: Sequence[Received]) -> Batch:
        decoded: dict[int, LogEntry] = {}
        errors: dict[int, str] = {}
        for one in received:
            try:
                decoded[one.stream_sequence] = wire.log_entry(
                    one.payload, sequence=one.stream_sequence, partition=self.partition
                )
            except wire.UndecodableLogEntry as error:
                errors[one.stream_sequence] = str(error)
        raw = [RawEntry(one.stream_sequence, one.subject, one.payload) for one in received]
        return Batch(raw, decoded, errors)

    async def _leave(self, done: Step, announcing: asyncio.Task[None] | None) -> None:
        """What is announced but not written as such is announced again by the next owner."""
        if announcing is None:
            return
        if announcing.done() and not announcing.cancelled() and announcing.exception() is None:
            await self.store.store_announced(replace(done, announced=done.position))
            return
        await cancellation.end([announcing])
