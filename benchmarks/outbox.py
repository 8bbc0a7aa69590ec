"""The outbox: events from a committed transaction to JetStream, beside plain publishing to the same server.

Ours: `mesh.outbox.Relay` takes committed rows from Postgres, publishes them, deletes them after the acknowledgement.
Reference: the same payloads published at once by the same client, 500 in flight, with no database behind them; that is
what the relay could reach if its database cost nothing. JetStream syncs every write to disk before it acknowledges.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from nats.js.api import StreamConfig

from benchmarks.bench import Bench
from benchmarks.load import open_loop, percentile
from benchmarks.measure import interleaved
from devstack.stack import Stack
from mesh import jetstream, outbox, postgres
from mesh.config import PostgresConfig
from mesh.events import Event
from mesh.jetstream import JetStream
from mesh.migrations import migrate
from mesh.postgres import Postgres

SERVICE = "feed_svc"
STREAM = "BENCH"
SUBJECT = "bench.event"
PAYLOAD_BYTES = 120
"""About the size of a PostCreated."""
EVENTS_PER_TRANSACTION = 100


@dataclass(frozen=True, slots=True)
class Rig:
    """The servers, and a relay between them."""

    postgres: Postgres
    jetstream: JetStream
    relay: outbox.Relay
    wakeup: outbox.Wakeup


async def run(bench: Bench) -> None:
    """Measure throughput beside the reference, delay from commit to stream, and how a backlog changes the cost."""
    async with bench.stack(services=[], servers=["postgres", "nats"]) as stack, _rig(stack) as rig:
        await _throughput(bench, rig)
        await _delay(bench, rig)
        await _backlog(bench, rig)


async def _throughput(bench: Bench, rig: Rig) -> None:
    events = bench.size(20_000, 3_000)
    bench.say(f"{events} events through the relay, and published directly, in turn")

    async def relayed() -> float:
        await _add(rig, events)
        return await _relay_all(rig, events)

    async def published() -> float:
        return await _publish_directly(rig, events)

    compared = await interleaved(bench.size(5, 3), relayed=relayed, published=published)
    bench.figure("relayed_per_s", compared.median("relayed"), "events, one relay")
    bench.figure("raw_published_per_s", compared.median("published"), "the reference")
    bench.figure("ratio_to_raw_jetstream", compared.ratio("relayed", "published"), "1.0: the database costs nothing")


async def _delay(bench: Bench, rig: Rig) -> None:
    rate = 100.0
    bench.say(f"From the call that commits an event to its arrival at a reader, at {rate:.0f} events/s (open loop)")
    first = await rig.jetstream.last_sequence(STREAM)
    arrivals: dict[bytes, float] = {}
    arrived = asyncio.Event()
    intended: dict[bytes, float] = {}

    async def read() -> None:
        async for batch in rig.jetstream.read_in_order(STREAM, after=first):
            arrivals.update((one.payload, time.monotonic()) for one in batch)
            arrived.set()

    async def commit(number: int) -> None:
        payload = b"%d" % number
        intended[payload] = time.monotonic()
        async with rig.postgres.transaction() as connection:
            await outbox.add(connection, Event(SUBJECT, payload))
        await rig.wakeup.hint()

    loops = [asyncio.create_task(rig.relay.run()), asyncio.create_task(read())]
    try:
        outcome = await open_loop(commit, per_s=rate, seconds=bench.seconds)
        async with asyncio.timeout(10):
            while len(arrivals) < outcome.answered:
                arrived.clear()
                await arrived.wait()
    finally:
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
    # A relay that was cancelled between acknowledgement and deletion leaves its batch to the next one.
    while await rig.relay.publish_batch():
        pass
    delays = tuple(sorted((arrivals[key] - intended[key]) * 1000 for key in arrivals))
    bench.figure("commit_to_reader_p50_ms", percentile(delays, 50))
    bench.figure("commit_to_reader_p99_ms", percentile(delays, 99))
    bench.require(outcome.failed == 0, f"every commit succeeds: {dict(outcome.failures)}")


async def _backlog(bench: Bench, rig: Rig) -> None:
    bench.say("Time per event when many wait, as after an outage of NATS")
    points = {}
    for waiting in (1_000, 2_000, 4_000) if bench.quick else (5_000, 10_000, 20_000, 40_000):
        await _add(rig, waiting)
        points[waiting] = 1e6 / await _relay_all(rig, waiting)
    bench.figure("backlog_growth_per_doubling", bench.scaling("waiting events", "us per event", points), "1.0: flat")


@asynccontextmanager
async def _rig(stack: Stack) -> AsyncIterator[Rig]:
    dsn = stack.postgres.dsn(SERVICE)
    await migrate(dsn, [outbox.COMPONENT])
    async with (
        postgres.connect(PostgresConfig(dsn, None, 10, 30.0)) as database,
        jetstream.connect(stack.nats.url(SERVICE), name="bench") as stream,
    ):
        await stream.declare_stream(StreamConfig(name=STREAM, subjects=["bench.>"]))
        wakeup = outbox.Wakeup(stream, SERVICE)
        yield Rig(database, stream, outbox.Relay(postgres=database, jetstream=stream, wakeup=wakeup), wakeup)


async def _add(rig: Rig, count: int) -> None:
    for start in range(0, count, EVENTS_PER_TRANSACTION):
        size = min(EVENTS_PER_TRANSACTION, count - start)
        async with rig.postgres.transaction() as connection:
            await outbox.add(connection, *(Event(SUBJECT, bytes(PAYLOAD_BYTES)) for _ in range(size)))


async def _relay_all(rig: Rig, count: int) -> float:
    """Relay everything that waits and return the rate; a count that differs from `count` is an error of the rig."""
    began = time.perf_counter()
    relayed = 0
    while batch := await rig.relay.publish_batch():
        relayed += batch
    if relayed != count:
        raise RuntimeError(f"{relayed} events were relayed, {count} were added")
    return count / (time.perf_counter() - began)


async def _publish_directly(rig: Rig, count: int) -> float:
    began = time.perf_counter()
    for start in range(0, count, outbox.BATCH):
        async with asyncio.TaskGroup() as group:
            for _ in range(min(outbox.BATCH, count - start)):
                group.create_task(rig.jetstream.publish(SUBJECT, bytes(PAYLOAD_BYTES), message_id=str(uuid.uuid4())))
    return count / (time.perf_counter() - began)
