"""Partitions move between workers while messages flow."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

from mesh.entry import WORK
from tests.fixtures.stack import eventually
from tests.integration.dm_svc.conftest import free_address, running_app


async def fences(rig) -> list[int]:
    async with rig.database.primary() as connection:
        rows = await (await connection.execute("SELECT fence FROM log_positions ORDER BY partition")).fetchall()
    return [row[0] for row in rows]


async def test_M2_nothing_is_lost_or_doubled_while_workers_come_and_go(rig):
    people = rig.people(6)
    sent: dict[str, list[str]] = {}
    stop = asyncio.Event()

    async def write(number: int) -> None:
        writer, reader = people[number], people[(number + 1) % len(people)]
        turn = 0
        while not stop.is_set():
            turn += 1
            message = await writer.send(reader, f"{number}:{turn}")
            sent.setdefault(writer.with_(reader), []).append(message.message_id)

    writers = [asyncio.create_task(write(number)) for number in range(len(people))]
    before = sum(await fences(rig))
    for _ in range(3):
        async with AsyncExitStack() as second:
            address = {"listen": free_address(), "metrics_listen": free_address(), "node": 2}
            config = replace(rig.config, process=replace(rig.config.process, **address))
            taken = sum(await fences(rig))
            await running_app(second, config, frozenset({WORK}))

            async def has_moved(taken: int = taken) -> bool:
                return sum(await fences(rig)) >= taken + 4

            await eventually(has_moved, within=20)
    stop.set()
    await asyncio.gather(*writers)
    assert sum(await fences(rig)) >= before + 12
    for number, writer in enumerate(people):
        reader = people[(number + 1) % len(people)]
        found, token = [], ""
        while True:
            page = await reader.call(
                "ListMessages", conversation_id=writer.with_(reader), page_size=50, page_token=token, order=2
            )
            found += page.messages
            token = page.next_page_token
            if not token:
                break
        assert [one.message_id for one in found] == sent[writer.with_(reader)]
        assert [one.number for one in found] == list(range(1, len(found) + 1))
        useqs = [entry.useq for entry in await reader.entries()]
        assert useqs == list(range(1, len(useqs) + 1))
