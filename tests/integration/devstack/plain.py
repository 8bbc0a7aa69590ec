"""Running something as a plain user, whoever runs the tests."""

import asyncio
import os
import pwd
import subprocess
import sys
from collections.abc import Callable

SETPRIV = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


def command_as_plain_user(*command: str) -> list[str]:
    """The command, run as nobody if we are root.

    Where nobody can't read the environment (below a 0700 home), it gets the right to read, but not to write,
    everything.
    """
    if os.geteuid() != 0:
        return list(command)
    can_read = subprocess.run([*SETPRIV, sys.executable, "-c", "import devstack.stack"], capture_output=True)
    more = [] if can_read.returncode == 0 else ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    return [*SETPRIV, *more, *command]


def outcome_as_plain_user(action: Callable[[], object]) -> str:
    """What the action raises, when run by nobody if we are root, in a process of its own; empty if nothing."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        if os.geteuid() == 0:
            entry = pwd.getpwnam("nobody")
            os.setgroups([])
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
        try:
            action()
            os.write(write_end, b"")
        except BaseException as error:
            os.write(write_end, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as output:
        text = output.read().decode()
    os.waitpid(child, 0)
    return text


async def run(*command: str, within: float = 120, **variables: str) -> tuple[int, str]:
    """Exit status and output of a command."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **variables},
    )
    output, _ = await asyncio.wait_for(process.communicate(), within)
    return process.returncode or 0, output.decode()
