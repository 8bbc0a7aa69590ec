"""mesh.migrations: steps that only go forward; and the services' named queries fit the tables that they make."""

import asyncio
import re
from pathlib import Path

import psycopg
import pytest

from devstack.settings import SERVICES
from mesh import migrations, outbox, queries
from mesh.errors import RefusedToServe

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
async def empty(new_database):
    """A database that no component has migrated."""
    return await new_database(owner="feed_svc")


@pytest.fixture
def component(tmp_path, monkeypatch):
    """Makes a package with these steps, and returns its name."""

    def make(**steps):
        folder = tmp_path / f"package_of_{tmp_path.name}"
        (folder / "sql" / "migrations").mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").touch()
        for name, sql in steps.items():
            (folder / "sql" / "migrations" / f"{name.removeprefix('step_')}.sql").write_text(sql)
        monkeypatch.syspath_prepend(tmp_path)
        return folder.name

    return make


async def test_processes_that_start_together_apply_each_step_once(empty, component):
    name = component(step_0001_a="CREATE TABLE a (x int);", step_0002_b="INSERT INTO a VALUES (1);")
    applied = await asyncio.gather(*(migrations.migrate(empty, [name]) for _ in range(4)))
    assert sorted(len(steps) for steps in applied) == [0, 0, 0, 2]
    async with await psycopg.AsyncConnection.connect(empty) as connection:
        assert await (await connection.execute("SELECT x FROM a")).fetchall() == [(1,)]


async def test_a_step_that_fails_leaves_nothing_of_itself_and_is_tried_again(empty, component):
    name = component(step_0001_a="CREATE TABLE a (x int);", step_0002_b="CREATE TABLE b (x int); SELECT 1 / 0;")
    with pytest.raises(psycopg.errors.DivisionByZero):
        await migrations.migrate(empty, [name])
    component(step_0002_b="CREATE TABLE b (x int);")
    assert [step.number for step in await migrations.migrate(empty, [name])] == [2]


async def test_a_step_that_changed_after_it_ran_is_refused(empty, component):
    name = component(step_0001_a="CREATE TABLE a (x int);")
    await migrations.migrate(empty, [name])
    component(step_0001_a="CREATE TABLE a (x bigint);")
    with pytest.raises(RefusedToServe, match="has changed since it was applied"):
        await migrations.migrate(empty, [name])


def test_a_gap_in_the_numbers_is_refused(component):
    with pytest.raises(ValueError, match="without a gap"):
        migrations.find(component(step_0001_a="", step_0003_c=""))


@pytest.mark.parametrize("service", SERVICES)
async def test_every_named_query_fits_the_tables(new_database, service):
    """The server parses each against the migrated tables: a column that is gone or misspelt fails here."""
    dsn = await new_database(outbox.COMPONENT, service)
    files = [file.name for file in (ROOT / service / "sql").glob("*.sql")]
    named = {name: query for file in files for name, query in queries.load(service, f"sql/{file}").items()}
    assert named
    unfit = []
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        for name, query in named.items():
            if re.match(r"(--[^\n]*\n)*(LOCK|SET)\b", query.sql):
                continue  # the server parses these only when they run
            try:
                await connection.execute(f"PREPARE p AS {numbered(query.sql)}")
                await connection.execute("DEALLOCATE p")
            except psycopg.errors.IndeterminateDatatype:
                pass  # its values' types are known only with the values; names were found
            except psycopg.Error as error:
                unfit.append(f"{name}: {error}")
    assert unfit == []


def numbered(sql: str) -> str:
    """Psycopg's `%(name)s` as the server's own `$1`."""
    names: list[str] = []

    def place(match: re.Match[str]) -> str:
        if match[1] not in names:
            names.append(match[1])
        return f"${names.index(match[1]) + 1}"

    return re.sub(r"%\((\w+)\)[sbt]", place, sql).replace("%%", "%")
