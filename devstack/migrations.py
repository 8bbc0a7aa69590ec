"""Bringing each service's database up to date before it starts; only where something has changed since the last time.

A service does it itself (`python -m NAME migrate`). Starting four Pythons for nothing would take a quarter of a warm
start, so what was last applied is noted in the database: a digest of all that a migration is made of.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import psycopg
from psycopg import sql

from devstack import services as table
from devstack.folder import CHECKOUT, StateFolder
from devstack.servers import Postgres
from devstack.services import Service
from devstack.state import State
from devstack.supervisor import all_of

MESH = CHECKOUT / "mesh"


async def migrate(services: Sequence[Service], state: State, folder: StateFolder, postgres: Postgres | None) -> None:
    """Migrate the databases that aren't up to date, side by side; `Trouble` if one can't be.

    Without a Postgres of the stack nothing is known about the databases, and every service is asked.
    """
    digests = {service.name: _digest(service) for service in services if service.migrates}
    done = await _noted(postgres) if postgres else {}
    pending = [service for service in services if service.migrates and done.get(service.name) != digests[service.name]]
    await all_of(
        table.migrate(service, state.environment(f"{service.name}.{service.roles[0]}"), folder) for service in pending
    )
    if postgres and pending:
        await _note(postgres, {service.name: digests[service.name] for service in pending})


def _digest(service: Service) -> str:
    own = service.folder / service.name
    files = [own / "__main__.py", *own.rglob("*.sql"), *MESH.rglob("*.sql"), MESH / "entry.py", MESH / "migrations.py"]
    return hashlib.sha256(b"".join(_named(file) for file in sorted(files))).hexdigest()


def _named(file: Path) -> bytes:
    return file.name.encode() + b"\0" + file.read_bytes() + b"\0"


async def _noted(postgres: Postgres) -> dict[str, str]:
    query = "SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database"
    async with await psycopg.AsyncConnection.connect(postgres.admin_dsn(), autocommit=True) as admin:
        return dict(await (await admin.execute(query)).fetchall())


async def _note(postgres: Postgres, digests: dict[str, str]) -> None:
    async with await psycopg.AsyncConnection.connect(postgres.admin_dsn(), autocommit=True) as admin:
        for name, digest in digests.items():
            await admin.execute(
                sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), sql.Literal(digest))
            )
