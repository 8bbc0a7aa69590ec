"""`python -m devstack`: what a person sees, and the exit statuses."""

import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from devstack.folder import StateFolder, is_running
from tests.fixtures.stack import state_folder
from tests.integration.devstack.plain import run

DEVSTACK = (sys.executable, "-m", "devstack")
NO_SERVICES = ("--services", "none")


@pytest.fixture
async def folder() -> AsyncIterator[Path]:
    """A state folder on which nothing runs after the test, also when it fails."""
    with state_folder() as path:
        yield path
        if is_running(StateFolder(path)):
            await run(*DEVSTACK, "down", "--folder", str(path))


async def test_up_status_kill_down_clean(folder):
    place = ("--folder", str(folder))
    status, output = await run(*DEVSTACK, "up", *NO_SERVICES, *place)
    assert status == 0, output
    assert "Ready after" in output

    status, output = await run(*DEVSTACK, "status", *place)
    assert status == 0
    assert re.search(r"^  redis +ready +pid \d+ +started 1x$", output, re.MULTILINE)

    for command in ("up", "run"):
        status, output = await run(*DEVSTACK, command, *NO_SERVICES, *place)
        assert status == 2
        assert "A stack already runs on" in output

    status, output = await run(*DEVSTACK, "kill", "redis", "KILL", *place)
    assert (status, output.startswith("Sent SIGKILL to redis")) == (0, True)
    assert (await run(*DEVSTACK, "kill", "nobody", *place))[0] == 2
    assert (await run(*DEVSTACK, "kill", "redis", "LOUDLY", *place))[0] == 2

    status, output = await run(*DEVSTACK, "down", *place)
    assert (status, output) == (0, f"Stopped what ran on {folder}\n")
    status, output = await run(*DEVSTACK, "status", *place)
    assert status == 2
    assert "Start one with: make run" in output

    assert (await run(*DEVSTACK, "clean", *place))[0] == 0
    assert not folder.exists()


async def test_an_unknown_service_is_said(folder):
    status, output = await run(*DEVSTACK, "run", "--services", "feeds", "--folder", str(folder))
    assert status == 2
    assert output.strip().endswith(
        "There is no service feeds. There are: feed_svc, story_svc, dm_svc, media_svc, gateway"
    )
    assert "Traceback" not in output


async def test_the_folder_can_be_named_by_the_environment(folder):
    status, output = await run(*DEVSTACK, "status", HELIOGRAPH_STATE=str(folder))
    assert status == 2
    assert str(folder) in output
