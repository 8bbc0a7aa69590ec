"""Breaks dm_svc on purpose, in its own processes: `DM_SABOTAGE` names how. Python imports this file at its start."""

import asyncio
import os
import sys
from dataclasses import replace


def redelivering_consumer():
    """Read the log with a durable consumer that redelivers what was not taken at once."""
    from nats.js.api import ConsumerConfig

    from mesh.jetstream import JetStream, read

    async def read_in_order(self, stream, *, after, batch=500, subject=None):
        name = await self.ensure_consumer(stream, ConsumerConfig(durable_name="redelivering", ack_wait=5))
        seen = set()
        async with self.pull_from(stream, name, batch=batch) as pull:
            async for messages in pull.batches():
                taken = []
                for message in messages:
                    received = read(message)
                    if received.stream_sequence % 7 == 0 and received.deliveries == 1:
                        await message.nak(delay=0.05)
                    else:
                        await message.ack()
                        if received.stream_sequence not in seen:
                            taken.append(received)
                        seen.add(received.stream_sequence)
                if taken:
                    yield taken

    JetStream.read_in_order = read_in_order


def position_apart():
    """Commit the position before the rows, in a transaction of its own."""
    from dm_svc.domain.fold import Changes
    from dm_svc.usecases.persist_entries import PersistEntries

    persist = PersistEntries._persist

    async def apart(self, works, *, with_keys):
        await self._store.commit([work.step for work in works], {}, Changes(), [])
        await asyncio.sleep(0.1)
        moved = [replace(work, step=replace(work.step, after=work.step.position)) for work in works]
        return await persist(self, moved, with_keys=with_keys)

    PersistEntries._persist = apart


def reply_before_ack():
    """Acknowledge a send before the log has."""
    from dm_svc.domain.rules import MAP_VERSION
    from dm_svc.events import Log
    from dm_svc.wire import log_entry_appended
    from mesh.events import event
    from mesh.jetstream import Stored

    running = set()

    async def append(self, entry):
        partition = self.partition_of(entry.conversation_id)
        appended = event(log_entry_appended(entry, partition=partition, map_version=MAP_VERSION))
        task = asyncio.create_task(
            self._jetstream.publish(appended.subject, appended.payload, message_id=entry.entry_id)
        )
        running.add(task)
        task.add_done_callback(lambda done: (running.discard(done), done.cancelled() or done.exception()))
        return Stored("", 0, False)

    Log.append = append


def counter_unread():
    """Count what was read up instead of looking at the pointer."""
    from dm_svc.domain import fold as folding

    read_up_to = folding._Folding._read

    def counted(self, thread, entry, change):
        reader = thread.members.get(entry.actor_id)
        before = (reader.read_number, reader.read_received) if reader else (0, 0)
        applied = read_up_to(self, thread, entry, change)
        if applied and reader:
            reader.read_received = before[1] + reader.read_number - before[0]
        return applied

    folding._Folding._read = counted


SABOTAGES = {
    sabotage.__name__: sabotage
    for sabotage in (redelivering_consumer, position_apart, reply_before_ack, counter_unread)
}

if "dm_svc" in sys.orig_argv and (chosen := os.environ.get("DM_SABOTAGE")) in SABOTAGES:
    SABOTAGES[chosen]()
