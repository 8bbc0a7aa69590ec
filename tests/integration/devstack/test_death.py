"""Whatever ends the supervisor, no process is left, and the next start finds everything again."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from redis.asyncio import Redis

from devstack.folder import StateFolder
from devstack.stack import Stack
from devstack.state import State
from tests.fixtures.stack import eventually, state_folder
from tests.integration.devstack.fakes import FAKE
from tests.integration.devstack.plain import command_as_plain_user

SUPERVISOR = """
import asyncio, sys
from devstack.stack import Stack
from tests.integration.devstack.fakes import FAKE

async def main():
    async with Stack(sys.argv[1], services=[FAKE]):
        print("ready", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_no_process_is_left_when_the_supervisor_is_killed(number):
    with state_folder() as folder:
        supervisor = await _supervise([sys.executable], folder)
        before = _processes_of(folder)
        assert len(before) > 6
        supervisor.send_signal(number)
        await supervisor.wait()
        await eventually(lambda: not _processes_of(folder), within=10)
        async with Stack(folder, services=[FAKE]) as stack:
            assert set(stack.state.children) >= {"postgres", "nats", "redis", "s3", "fake_svc.work"}


async def test_a_plain_user_needs_nothing_of_root():
    with state_folder() as folder:
        folder.parent.chmod(0o777)
        supervisor = await _supervise(command_as_plain_user(sys.executable), folder)
        assert folder.stat().st_uid != 0
        assert len({_owner(pid) for pid in _processes_of(folder)}) == 1
        assert (folder / "postgres" / "data" / "PG_VERSION").exists() or os.geteuid() != 0
        async with Redis.from_url(State.from_json(StateFolder(folder).state_file).addresses["redis"]) as client:
            assert await client.ping()
        supervisor.kill()
        await supervisor.wait()
        await eventually(lambda: not _processes_of(folder), within=10)


async def _supervise(python: list[str], folder: Path) -> asyncio.subprocess.Process:
    supervisor = await asyncio.create_subprocess_exec(
        *python,
        "-c",
        SUPERVISOR,
        str(folder),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert supervisor.stdout is not None
    assert await asyncio.wait_for(supervisor.stdout.readline(), 60) == b"ready\n"
    return supervisor


def _processes_of(folder: Path) -> list[int]:
    """Everything that works in the folder or is told its path."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            place = os.readlink(process / "cwd")
        except OSError:
            continue
        if int(process.name) != os.getpid() and (str(folder) in place or str(folder).encode() in told):
            found.append(int(process.name))
    return found


def _owner(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid
