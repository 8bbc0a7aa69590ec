"""Which account Postgres runs as, since it refuses to run as root, and how a program is run as another account."""

import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devstack.trouble import ConfigurationTrouble

LAUNCHER = Path(__file__).with_name("launch.py")
CANDIDATES = ("postgres", "nobody")
"""The first that exists is used. A uid without an entry in the password file would not do: initdb looks it up."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account other than ours that a child runs as."""

    name: str
    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Give a file or folder to this account."""
        os.chown(path, self.uid, self.gid)

    def can_run(self, command: Sequence[str]) -> bool:
        """Whether this account can execute the program, tried by doing it."""
        done = subprocess.run(
            launched(command, self),
            cwd="/",
            env={"LC_ALL": "C.UTF-8"},
            capture_output=True,
            check=False,
            timeout=30,
        )
        return done.returncode == 0

    def can_reach(self, folder: Path) -> bool:
        """Whether this account can pass through the folder and all that are above it."""
        return self.can_run(["/usr/bin/test", "-x", str(folder)]) or self.can_run(["/bin/test", "-x", str(folder)])


def launched(command: Sequence[str], account: Account | None) -> list[str]:
    """Return what to run so that the command runs as the account, as a child that dies with the thread that starts it.

    Not `subprocess`'s own change of account: that one forks, and the fork handlers of gRPC, should this process have
    channels, can end the child before it has become the program.
    """
    identity = f"{account.uid}:{account.gid}" if account else "-"
    return [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), identity, *command]


def unprivileged_account() -> Account | None:
    """The account to use instead of root; `None` when we are not root and need none."""
    if os.geteuid() != 0:
        return None
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise ConfigurationTrouble(
        "Postgres doesn't run as root, and there is no account postgres or nobody to run it as. "
        "Run as a plain user, or make one of them: useradd --system postgres"
    )
