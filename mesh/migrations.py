"""Schema steps: numbered SQL files that only go forward.

Each component (a service, or `mesh.outbox`) keeps its files in `sql/migrations/NNNN_name.sql`. A step runs once, in
a transaction of its own, under an advisory lock, so any number of processes may call `migrate` at once. A file that
changed after it ran is refused: write a new step instead.
"""

import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from typing import Any, LiteralString

import psycopg
from psycopg import AsyncConnection

from mesh.errors import RefusedToServe
from mesh.postgres import CONNECT_SECONDS, away

_FILE = re.compile(r"^(\d{4})_(\w+)\.sql$")
_LOCK = 0x6D6967726174  # "migrat": any number that nothing else locks

_CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    component   text        NOT NULL,
    number      integer     NOT NULL,
    name        text        NOT NULL,
    sha256      text        NOT NULL,
    apply_time  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (component, number)
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of one component."""

    component: str
    number: int
    name: str
    sql: LiteralString

    @property
    def sha256(self) -> str:
        """Return the digest by which a later change of the file is noticed."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def find(component: str) -> list[Migration]:
    """Return the steps of a component's package in order; numbers run 1, 2, 3 without a gap."""
    folder = resources.files(component).joinpath("sql/migrations")
    found = []
    for file in folder.iterdir():
        if match := _FILE.match(file.name):
            found.append(Migration(component, int(match[1]), match[2], file.read_text(encoding="utf-8")))
    found.sort(key=lambda migration: migration.number)
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"{component}: migrations must be numbered 0001, 0002, ... without a gap")
    return found


async def migrate(dsn: str, components: list[str]) -> list[Migration]:
    """Apply what is missing and return it.

    `RefusedToServe` when an applied file has changed since; `PostgresUnavailable` when the database can't be reached.
    """
    applied: list[Migration] = []
    async with await _connect(dsn) as connection:
        await connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        await connection.execute(_CREATE_TABLE)
        for component in components:
            applied += await _apply_missing(connection, find(component))
    return applied


async def _connect(dsn: str) -> AsyncConnection[Any]:
    try:
        return await AsyncConnection.connect(dsn, autocommit=True, connect_timeout=CONNECT_SECONDS)
    except psycopg.OperationalError as error:
        raise away(dsn) from error


async def _apply_missing(connection: AsyncConnection[Any], steps: list[Migration]) -> list[Migration]:
    applied = []
    for step in steps:
        cursor = await connection.execute(
            "SELECT sha256 FROM schema_migrations WHERE component = %s AND number = %s",
            (step.component, step.number),
        )
        row = await cursor.fetchone()
        if row is None:
            async with connection.transaction():
                await connection.execute(step.sql)
                await connection.execute(
                    "INSERT INTO schema_migrations (component, number, name, sha256) VALUES (%s, %s, %s, %s)",
                    (step.component, step.number, step.name, step.sha256),
                )
            applied.append(step)
        elif row[0] != step.sha256:
            raise RefusedToServe(
                f"{step.component} {step.number:04} {step.name} has changed since it was applied; "
                "put the change into a new migration"
            )
    return applied
