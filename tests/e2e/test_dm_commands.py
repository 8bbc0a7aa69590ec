"""`heliograph dm verify` and `dm dead-letters`, as staff type them beside the running system."""

import asyncio
import json
import os
import re
import sys

from devstack.demo.cast import Cast
from devstack.demo.chapters.messages import send
from devstack.stack import Stack
from dm_svc.domain.rules import conversation_of, partition_of
from dm_svc.domain.values import UserId
from dm_svc.events import log_stream
from gateway import ids
from heliograph.events.v1 import message_events_pb2
from mesh import jetstream, postgres
from mesh.config import PostgresConfig
from tests.fixtures.stack import eventually

FOUND_TROUBLE = 3


async def test_staff_verify_conversations_and_replay_what_was_set_aside(system: Stack, cast: Cast) -> None:
    async def heliograph(*arguments: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "cli",
            *arguments,
            env={**os.environ, "HELIOGRAPH_STATE": str(system.folder.path)},
            stdout=asyncio.subprocess.PIPE,
        )
        printed = (await process.communicate())[0].decode()
        return process.returncode, printed

    await send(cast.ben, cast.cleo, "hello")
    ben, cleo = (UserId(ids.number("User", person.user_id)) for person in (cast.ben, cast.cleo))
    conversation = conversation_of(ben, cleo)
    partition = partition_of(conversation, 8)
    async with jetstream.connect(system.nats.admin_url, name="test") as stream:
        stored = await stream.get(log_stream(partition), await stream.last_sequence(log_stream(partition)))
        await stream.publish(f"dm.log.{partition:02}.{conversation}", b"no log entry")
    assert stored is not None

    async def letters(*options: str) -> tuple[int | None, list[dict[str, str]]]:
        status, printed = await heliograph("dm", "dead-letters", "--json", *options)
        return status, json.loads(printed).get("dead_letters", [])

    async def is_set_aside() -> bool:
        return (await letters())[0] == FOUND_TROUBLE

    await eventually(is_set_aside)
    (letter,) = (await letters())[1]
    assert letter["subject"] == f"dm.log.{partition:02}.{conversation}"
    number = str(letter["dead_letter_id"])
    assert (await heliograph("dm", "dead-letters", "--replay", number))[0] == FOUND_TROUBLE
    status, printed = await heliograph("dm", "dead-letters", "--show", number)
    assert status == 0
    assert re.search(r"^tried +2$", printed, re.MULTILINE)
    assert "no entry of the log" in printed
    assert (await heliograph("dm", "verify", conversation))[0] == 0

    entry = message_events_pb2.LogEntryAppended.FromString(stored.payload)
    entry.entry_id = entry.message_sent.message_id = "50000000-0000-4000-8000-000000000001"
    config = PostgresConfig(system.postgres.dsn("dm_svc"), None, 1, 5.0)
    async with postgres.connect(config) as database, database.transaction() as connection:
        await connection.execute("UPDATE dead_letters SET payload = %s", (entry.SerializeToString(),))
    assert (await heliograph("dm", "dead-letters", "--replay", number))[0] == 0
    assert await letters() == (0, [])
    assert (await letters("--all"))[1]
    assert (await heliograph("dm", "verify"))[0] == 0

    async with postgres.connect(config) as database, database.transaction() as connection:
        await connection.execute(
            "UPDATE members SET read_received = 1 WHERE conversation_id = %s AND user_id = %s", (conversation, cleo)
        )
    status, printed = await heliograph("dm", "verify", conversation)
    assert status == FOUND_TROUBLE
    assert "unread" in printed
