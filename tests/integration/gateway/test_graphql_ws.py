"""G1: the graphql-ws client of npm reads an inbox and resumes it."""

import asyncio
import json
from typing import Any

from tests.fixtures.node import CLIENTS
from tests.integration.gateway.conftest import Running, token


async def read(node: str, running: Running, *after: str) -> list[Any]:
    process = await asyncio.create_subprocess_exec(
        node, str(CLIENTS / "inbox.mjs"), running.url, token(2), *after, stdout=-1, stderr=-1
    )
    output, problems = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, problems.decode()
    events: list[Any] = json.loads(output)
    return events


async def test_G1_the_graphql_ws_client_resumes_an_inbox(running: Running, node: str) -> None:
    (start,) = await read(node, running)
    assert start["__typename"] == "InboxCaughtUp"
    for number in (1, 2):
        running.world.say(1, 2, f"while away {number}", f"50000000-0000-4000-8000-{number:012}")
    first, second, end = await read(node, running, start["cursor"])
    assert [one["message"] for one in (first, second)] == [
        {"number": 4, "content": "while away 1"},
        {"number": 5, "content": "while away 2"},
    ]
    assert end["__typename"] == "InboxCaughtUp"
    (again,) = await read(node, running, second["cursor"])
    assert again["__typename"] == "InboxCaughtUp"
