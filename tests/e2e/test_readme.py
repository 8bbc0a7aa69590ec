"""The commands that the README prints, run as they stand there."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import pytest

from devstack.folder import CHECKOUT
from devstack.stack import Stack
from devstack.welcome import welcome


@pytest.fixture
def shell(system: Stack, curl: Path) -> dict[str, str]:
    """The environment of a shell beside the running system; there is curl in it."""
    return {**os.environ, "PATH": f"{curl}:{os.environ['PATH']}", "HELIOGRAPH_STATE": str(system.folder.path)}


async def run(command: str, environment: dict[str, str]) -> str:
    here = command.replace(".venv/bin/heliograph", f"{sys.executable} -m cli")
    process = await asyncio.create_subprocess_exec(
        "bash", "-euo", "pipefail", "-c", here, cwd=CHECKOUT, env=environment, stdout=-1, stderr=-1
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return output.decode()


async def test_the_readme_shows_how_to_call_the_api(system: Stack, shell: dict[str, str]) -> None:
    await welcome(system.state, system.folder)  # make run makes alice known
    block = next(
        block for block in re.findall(r"```\n(.*?)```", (CHECKOUT / "README.md").read_text(), re.S) if "curl" in block
    )
    answer = json.loads(await run(block, shell))
    assert answer["data"]["viewer"]["username"] == "alice"
    assert answer["data"]["home"]["feed"]["edges"] == []


async def test_the_commands_that_make_run_prints_work_as_printed(system: Stack, shell: dict[str, str]) -> None:
    printed = await welcome(system.state, system.folder)
    commands = [line.strip() for line in printed.splitlines() if line.strip().startswith("curl")]
    assert len(commands) == 3
    for command in commands:
        answer = json.loads(await run(command, shell))
        assert "errors" not in answer, answer


async def test_the_readmes_commands_about_feeds_and_processes_work(system: Stack, shell: dict[str, str]) -> None:
    await welcome(system.state, system.folder)
    assert "stored timeline" in await run(".venv/bin/heliograph feed explain alice", shell)
    seen = await run(".venv/bin/heliograph top --once", shell)
    for process in ("feed_svc.serve", "feed_svc.work", "gateway.serve"):
        assert process in seen
