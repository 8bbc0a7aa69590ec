"""G1: the examples of docs/api-examples.md, run as they stand there."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from devstack.demo.api import Person
from devstack.demo.cast import Cast
from devstack.demo.chapters.posts import feed, ids
from devstack.demo.photos import choose
from devstack.folder import CHECKOUT
from devstack.stack import Stack
from devstack.welcome import welcome
from tests.e2e.test_killed_processes import send_until_answered
from tests.fixtures.node import CLIENTS

PHOTO = next(photo for photo in choose(None) if photo.name == "rocket")
TEXT = (CHECKOUT / "docs" / "api-examples.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def environment_of(person: Person) -> dict[str, str]:
    return {**os.environ, "URL": person.api.url, "TOKEN": person.token}


async def finished(*command: str, environment: dict[str, str], given: str = "") -> str:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=CHECKOUT, env=environment, stdin=-1, stdout=-1, stderr=-1
    )
    output, problems = await asyncio.wait_for(process.communicate(given.encode()), 60)
    assert process.returncode == 0, problems.decode()
    return output.decode()


@pytest.fixture
async def shell(system: Stack, curl: Path) -> dict[str, str]:
    """The environment of a shell beside the running system."""
    await welcome(system.state, system.folder)  # make run makes alice known
    return {**os.environ, "PATH": f"{curl}:{os.environ['PATH']}", "HELIOGRAPH_STATE": str(system.folder.path)}


def commands() -> list[str]:
    """The blocks for a shell, each with what stands first in front of it."""
    set_up, *others = [block.replace(".venv/bin/heliograph", f"{sys.executable} -m cli") for block in blocks("sh")]
    return [f"{set_up}\n{other}" for other in others]


async def test_G1_the_examples_for_curl_work(shell: dict[str, str]) -> None:
    asking = [command for command in commands() if "/inbox" not in command]
    assert len(asking) == 2
    for command in asking:
        output = await finished("bash", "-euo", "pipefail", "-c", command, environment=shell)
        answers = [json.loads(line) for line in output.replace("}{", "}\n{").splitlines()]
        assert answers
        assert all("errors" not in answer for answer in answers), answers
    assert answers == [{"data": {"viewer": {"username": "alice"}}}] * 2


async def test_G1_the_example_of_server_sent_events_streams_the_inbox(shell: dict[str, str]) -> None:
    (command,) = [command for command in commands() if "/inbox" in command]
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-euo",
        "pipefail",
        "-c",
        command.replace("curl -sN", "exec curl -sN"),
        cwd=CHECKOUT,
        env=shell,
        stdout=-1,
    )
    assert process.stdout
    try:
        async with asyncio.timeout(30):
            text = await process.stdout.readuntil(b"InboxCaughtUp")
        assert b"\nid: " in text
    finally:
        process.kill()
        await process.wait()


async def test_G1_the_example_of_a_photo_in_python_posts_it(cast: Cast, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(PHOTO.content)
    (script,) = [block for block in blocks("python") if "createUpload" in block]
    (tmp_path / "post.py").write_text(script)
    command = (sys.executable, str(tmp_path / "post.py"), str(tmp_path / "photo.jpg"))
    printed = await finished(*command, environment=environment_of(cast.ada))
    (posted,) = ids(await feed(cast.ada))
    assert posted in printed


@asynccontextmanager
async def listening(language: str, person: Person, node: str) -> AsyncIterator[asyncio.StreamReader]:
    """The example of a language, listening; gives what it prints."""
    (script,) = [block for block in blocks(language) if "inbox" in block and "createUpload" not in block]
    command = [sys.executable, "-"] if language == "python" else [node, "--input-type=module"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=CLIENTS, env=environment_of(person), stdin=-1, stdout=-1
    )
    assert process.stdin
    assert process.stdout
    process.stdin.write(script.encode())
    process.stdin.close()
    try:
        yield process.stdout
    finally:
        process.kill()
        await process.wait()


async def message_in(lines: asyncio.StreamReader) -> str:
    """The text of the next message that is printed."""
    async with asyncio.timeout(30):
        async for line in lines:
            event: dict[str, Any] = json.loads(line)
            if event["__typename"] == "MessageReceived":
                return str(event["message"]["content"])
    pytest.fail("the example has ended")


@pytest.mark.parametrize("language", ["js", "python"])
async def test_G1_the_examples_that_listen_go_on_where_they_were_after_the_gateway_was_killed(
    system: Stack, cast: Cast, node: str, language: str
) -> None:
    async with listening(language, cast.cleo, node) as lines:
        await asyncio.wait_for(lines.readline(), 30)
        await send_until_answered(cast.ben, cast.cleo, "one")
        assert await message_in(lines) == "one"
        system.kill("gateway.serve")
        await system.wait_ready("gateway.serve")
        for content in ("two", "three"):
            await send_until_answered(cast.ben, cast.cleo, content)
        assert [await message_in(lines) for _ in range(2)] == ["two", "three"]
