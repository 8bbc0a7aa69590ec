"""The state folder: `.heliograph/` in the checkout, or wherever `HELIOGRAPH_STATE` or `--folder` says.

state.json         addresses, credentials, process ids: the one file that everything reads
credentials.json   the passwords, made once
postgres/ nats/ redis/ s3/   the servers' data and configuration
tls/ jwt/          development certificates and keys
logs/              one file for each process
lock               held by the supervisor for as long as it lives
"""

import fcntl
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from devstack.trouble import ConfigurationTrouble

CHECKOUT = Path(__file__).resolve().parent.parent


def default_folder() -> Path:
    """Where the state lies when nobody says otherwise."""
    return Path(os.environ.get("HELIOGRAPH_STATE") or CHECKOUT / ".heliograph").absolute()


@dataclass(frozen=True, slots=True)
class StateFolder:
    """Paths in the state folder."""

    path: Path

    @property
    def state_file(self) -> Path:
        """The file with addresses, credentials and process ids."""
        return self.path / "state.json"

    @property
    def credentials_file(self) -> Path:
        """The file with the passwords."""
        return self.path / "credentials.json"

    @property
    def logs(self) -> Path:
        """The folder of the log files."""
        return self.path / "logs"

    def create(self) -> None:
        """Make the folder fit for use by this account, or raise `ConfigurationTrouble` that says what to do.

        As root others may pass through it (to reach Postgres' data, which belongs to another account); what is
        secret in it has a mode of its own.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            owner = self.path.stat().st_uid
            if owner != os.geteuid():
                raise ConfigurationTrouble(self._of_another(owner))
            self.path.chmod(0o711 if owner == 0 else 0o700)
            for child in self.path.iterdir():
                if os.geteuid() != 0 and child.stat().st_uid != os.geteuid():
                    raise ConfigurationTrouble(self._of_another(child.stat().st_uid))
            self.logs.mkdir(mode=0o700, exist_ok=True)
            (self.path / ".gitignore").write_text("*\n")
        except (PermissionError, FileExistsError, NotADirectoryError) as error:
            raise ConfigurationTrouble(
                f"The state folder {self.path} can't be used ({error.strerror}: {error.filename}). "
                "Name a folder that you can write with --folder or HELIOGRAPH_STATE."
            ) from error
        except OSError as error:
            raise ConfigurationTrouble(
                f"The state folder {self.path} can't be written ({error.strerror}). "
                "Name another one with --folder or HELIOGRAPH_STATE, or make room."
            ) from error

    def _of_another(self, owner: int) -> str:
        me = account_name(os.geteuid())
        return (
            f"The state folder {self.path} was first used by {account_name(owner)} and can't be used by {me}. "
            f"Run as {account_name(owner)}, or name another folder with --folder or HELIOGRAPH_STATE, "
            "or have its owner delete it with: make clean"
        )


def account_name(uid: int) -> str:
    """Name of an account, or its number if it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"account {uid}"


class FolderLock:
    """Makes one supervisor the only one of a folder. The kernel lets go of it however the supervisor ends."""

    def __init__(self, folder: StateFolder) -> None:
        self._path = folder.path / "lock"
        self._folder = folder
        self._file: int | None = None

    def __enter__(self) -> Self:
        """Take the lock; `ConfigurationTrouble` if another supervisor has it."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise ConfigurationTrouble(
                f"A stack already runs on {self._folder.path}. Stop it with: make down (python -m devstack down "
                f"--folder {self._folder.path}), or start a second one on another folder with --folder."
            ) from None
        self._file = file
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def is_running(folder: StateFolder) -> bool:
    """Whether a supervisor lives on this folder; a state file left by a dead one doesn't count."""
    try:
        file = os.open(folder.path / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(file)


@contextmanager
def temporary_folder(purpose: str) -> Iterator[Path]:
    """A folder for the stacks of one run; it vanishes with everything in it at the end of the block."""
    path = Path(tempfile.mkdtemp(prefix=f"heliograph-{purpose}-"))
    # As root Postgres runs as another account, which must be able to pass through.
    path.chmod(0o711 if os.geteuid() == 0 else 0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
