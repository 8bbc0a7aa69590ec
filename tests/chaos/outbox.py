"""The outbox: what was committed is published once, whatever dies in between.

Two relays work on one outbox while relays, NATS and Postgres are killed or frozen. Afterwards the stream must hold each
committed event exactly once.
"""

import asyncio
import time
from collections import Counter
from pathlib import Path

from nats.js.api import StreamConfig

from devstack.services import WORK, Service
from mesh import jetstream, outbox, postgres
from mesh.config import PostgresConfig
from mesh.errors import Unavailable
from mesh.events import Event
from mesh.jetstream import JetStream
from mesh.postgres import Postgres
from tests.chaos.check import Check
from tests.chaos.storm import Storm, freeze, keep_down, kill

SABOTAGES = {
    "delete_before_ack": "the relay deletes rows before JetStream has acknowledged them",
    "new_id_per_try": "the relay publishes without the row's message id",
}

NAME = "outbox_relay"
RELAYS = (f"{NAME}.work", f"{NAME}.work.2")
STREAM = "CHAOS"
WRITERS = 4
QUIET_SECONDS = 30.0


async def run(check: Check) -> None:
    """Write events under a storm, let the relays finish, compare what was committed with what the stream holds."""
    rig = Service(NAME, roles=(WORK,), folder=Path(__file__).parent / "rigs")
    async with check.stack(
        services=[rig],
        servers=["postgres", "nats"],
        replicas={RELAYS[0]: len(RELAYS)},
        environment={"RIG_SABOTAGE": check.sabotage or ""},
    ) as stack:
        dsn = stack.postgres.dsn(NAME)
        async with (
            postgres.connect(PostgresConfig(dsn, None, 10, 5.0)) as database,
            jetstream.connect(stack.nats.url(NAME), name="chaos") as stream,
        ):
            await stream.declare_stream(StreamConfig(name=STREAM, subjects=["chaos.>"]))
            faults = {
                **{f"kill_{name}": lambda name=name: kill(stack, name) for name in RELAYS},
                "freeze_relay": lambda: freeze(stack, RELAYS[0], 1.0),
                "nats_down_1_s": lambda: keep_down(stack, "nats", 1.0),
                "kill_postgres": lambda: kill(stack, "postgres"),
            }
            acked: set[int] = set()
            unknown: set[int] = set()
            check.say(f"{WRITERS} writers commit events for {check.seconds:.0f} s while relays and servers are killed")
            async with Storm(check, faults, every_seconds=(0.3, 1.5)):
                await _write(database, acked, unknown, seconds=check.seconds)
            for name in RELAYS:
                await stack.wait_ready(name)
            await _until_empty(database)
            found = await _read_all(stream)
    missing = acked - found.keys()
    doubled = [number for number, times in found.items() if times > 1]
    check.count("acked", len(acked))
    check.count("outcome_unknown", len(unknown))
    check.none_may_be("lost", len(missing), *sorted(missing))
    check.none_may_be("doubled", len(doubled), *sorted(doubled))
    check.none_may_be("invented", len(found.keys() - acked - unknown))
    check.require(len(acked) > 100, "too little was written to tell anything")
    check.require(sum(check.faults.values()) >= 5, "too few faults were fired to tell anything")


async def _write(database: Postgres, acked: set[int], unknown: set[int], *, seconds: float) -> None:
    """Commit numbered events; a commit whose answer was lost may have happened or not, and is noted as unknown."""
    numbers = iter(range(1 << 62))
    end = time.monotonic() + seconds

    async def writer() -> None:
        while time.monotonic() < end:
            number = next(numbers)
            try:
                async with database.transaction() as connection:
                    await outbox.add(connection, Event("chaos.event", b"%d" % number))
            except Unavailable:
                unknown.add(number)
                await asyncio.sleep(0.05)
            else:
                acked.add(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(WRITERS):
            group.create_task(writer())


async def _until_empty(database: Postgres) -> None:
    async with asyncio.timeout(QUIET_SECONDS):
        while True:
            async with database.primary() as connection:
                row = await (await connection.execute("SELECT count(*) FROM outbox")).fetchone()
            if row == (0,):
                return
            await asyncio.sleep(0.1)


async def _read_all(stream: JetStream) -> Counter[int]:
    last = await stream.last_sequence(STREAM)
    found: Counter[int] = Counter()
    if last == 0:
        return found
    async for batch in stream.read_in_order(STREAM, after=0):
        found.update(int(one.payload) for one in batch)
        if batch[-1].stream_sequence >= last:
            break
    return found
