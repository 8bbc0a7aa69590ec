"""mesh.postgres against a real server: what a user notices when it is slow, restarted or away."""

import asyncio
from contextlib import asynccontextmanager

import psycopg
import pytest

from devstack.faults import TcpProxy
from mesh import postgres
from mesh.config import PostgresConfig
from mesh.errors import RefusedToServe
from mesh.postgres import PostgresUnavailable
from tests.fixtures.stack import eventually


def config(dsn, *, pool_size=5, statement_timeout=5.0):
    return PostgresConfig(dsn, None, pool_size, statement_timeout)


@pytest.fixture
async def dsn(new_database):
    return await new_database("mesh.outbox")


@asynccontextmanager
async def through_proxy(dsn, **options):
    """A pool whose connections a test can cut."""
    parts = psycopg.conninfo.conninfo_to_dict(dsn)
    async with TcpProxy(f"{parts['host']}:{parts['port']}") as proxy:
        host, _, port = proxy.address.rpartition(":")
        url = f"postgresql://{parts['user']}:{parts['password']}@{host}:{port}/{parts['dbname']}"
        async with postgres.connect(config(url, **options)) as database:
            yield database, proxy


async def select_one(database):
    async with database.read() as connection:
        return (await (await connection.execute("SELECT 1")).fetchone())[0]


async def test_a_read_does_not_notice_that_idle_connections_died(dsn):
    async with through_proxy(dsn) as (database, proxy):
        await asyncio.gather(*(pause(database) for _ in range(5)))  # now the pool holds five
        proxy.cut()
        async with asyncio.timeout(0.9):  # at once, not after a backoff
            assert await asyncio.gather(*(select_one(database) for _ in range(5))) == [1] * 5


async def pause(database):
    async with database.read() as connection:
        await connection.execute("SELECT pg_sleep(0.05)")


async def test_a_living_connection_is_used_again_without_a_question(dsn):
    async with through_proxy(dsn) as (database, proxy):
        for _ in range(10):
            assert await select_one(database) == 1
        assert proxy.connections == 1


async def test_the_connection_that_came_back_last_is_lent_first(dsn):
    async def process_id():
        async with database.primary() as connection:
            return connection.info.backend_pid

    async with postgres.connect(config(dsn)) as database:
        await asyncio.gather(*(pause(database) for _ in range(5)))  # now the pool holds five
        assert len({await process_id() for _ in range(10)}) == 1


async def test_an_outage_is_an_unavailable_error_and_over_as_soon_as_the_server_is_back(dsn):
    async with through_proxy(dsn, pool_size=1) as (database, proxy):
        proxy.refuse()
        with pytest.raises(PostgresUnavailable):
            await select_one(database)
        await asyncio.sleep(3.5)  # a backoff that doubles from 1 s would next try at 7 s
        proxy.heal()

        async def answers():
            try:
                return await select_one(database) == 1
            except PostgresUnavailable:
                return False

        async with asyncio.timeout(2):
            await eventually(answers)


async def test_a_connection_cut_in_the_middle_of_a_transaction_is_an_unavailable_error(dsn):
    async with through_proxy(dsn) as (database, proxy):
        with pytest.raises(PostgresUnavailable):
            async with database.transaction() as connection:
                await connection.execute("SELECT 1")
                proxy.cut()
                await connection.execute("SELECT 1")
        assert await select_one(database) == 1


async def test_a_statement_that_takes_too_long_is_an_unavailable_error_and_the_connection_lives(dsn):
    async with postgres.connect(config(dsn, pool_size=1, statement_timeout=0.1)) as database:
        with pytest.raises(PostgresUnavailable) as caught:
            async with database.read() as connection:
                await connection.execute("SELECT pg_sleep(5)")
        assert isinstance(caught.value.__cause__, psycopg.errors.QueryCanceled)
        assert await select_one(database) == 1


async def test_a_transaction_whose_process_hangs_is_rolled_back_by_the_server(dsn):
    connected = postgres.connect(config(dsn), idle_in_transaction_seconds=0.2)
    async with connected as hanging, postgres.connect(config(dsn)) as other:
        with pytest.raises(PostgresUnavailable):
            async with hanging.transaction() as connection:
                await connection.execute("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE")
                async with asyncio.timeout(5), other.transaction() as waiting:
                    await waiting.execute("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE")
                await connection.execute("SELECT 1")


async def test_more_callers_than_connections_wait_and_too_many_are_refused_at_once(dsn, monkeypatch):
    monkeypatch.setattr(postgres, "POOL_WAIT_SECONDS", 0.2)
    async with postgres.connect(config(dsn, pool_size=1)) as database, database.read():
        with pytest.raises(PostgresUnavailable):
            await select_one(database)
        waiting = [asyncio.create_task(select_one(database)) for _ in range(40)]
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(one) for one in results} == {PostgresUnavailable}
        assert any("waiting" in str(one.__cause__) for one in results)


async def test_a_cancelled_transaction_is_rolled_back_and_gives_its_connection_back(dsn):
    async with postgres.connect(config(dsn, pool_size=1)) as database:
        inserted = asyncio.Event()

        async def write():
            async with database.transaction() as connection:
                await connection.execute("INSERT INTO outbox (subject, payload) VALUES ('x', '')")
                inserted.set()
                await connection.execute("SELECT pg_sleep(30)")

        task = asyncio.create_task(write())
        await inserted.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(5), database.read() as connection:
            assert (await (await connection.execute("SELECT count(*) FROM outbox")).fetchone())[0] == 0


async def test_an_error_of_the_caller_passes_through_and_rolls_back(dsn):
    async with postgres.connect(config(dsn)) as database:
        with pytest.raises(KeyError):
            async with database.transaction() as connection:
                await connection.execute("INSERT INTO outbox (subject, payload) VALUES ('x', '')")
                raise KeyError
        async with database.read() as connection:
            assert (await (await connection.execute("SELECT count(*) FROM outbox")).fetchone())[0] == 0


async def test_reads_go_to_the_replica_and_writes_to_the_primary(new_database):
    primary, replica = await new_database("mesh.outbox"), await new_database("mesh.outbox")
    async with postgres.connect(PostgresConfig(primary, replica, 2, 5.0)) as database:
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO outbox (subject, payload) VALUES ('x', '')")
        async with database.read() as connection:
            assert (await (await connection.execute("SELECT count(*) FROM outbox")).fetchone())[0] == 0
        async with database.primary() as connection:
            assert (await (await connection.execute("SELECT count(*) FROM outbox")).fetchone())[0] == 1


async def test_a_server_that_is_away_at_the_start_is_named_without_its_password(monkeypatch):
    monkeypatch.setattr(postgres, "START_SECONDS", 0.3)
    with pytest.raises(PostgresUnavailable) as caught:
        async with postgres.connect(config("postgresql://app:canary@127.0.0.1:1/feed_svc")):
            pass
    assert "127.0.0.1:1" in str(caught.value)
    assert "canary" not in str(caught.value) + repr(caught.value.__cause__)


async def test_A3_a_database_that_acknowledges_before_it_syncs_is_refused(stack, new_database):
    dsn = await new_database("mesh.outbox")
    async with postgres.connect(config(dsn)) as database:
        await database.refuse_unless_durable()
    name = psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]
    async with await psycopg.AsyncConnection.connect(stack.postgres.admin_dsn(), autocommit=True) as admin:
        await admin.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    async with postgres.connect(config(dsn)) as database:
        with pytest.raises(RefusedToServe, match="synchronous_commit=off"):
            await database.refuse_unless_durable()


async def test_a_pipeline_is_one_transaction_and_tells_what_failed_in_it(dsn):
    """Also when the statements behind the failed one were to be prepared: the server has skipped that."""
    async with postgres.connect(config(dsn, pool_size=1)) as database:
        async with database.primary() as connection:
            await connection.execute("CREATE TABLE marks (mark integer NOT NULL)")

        async def mark(*marks):
            async with database.pipeline() as connection:
                for one in marks:
                    await connection.execute("INSERT INTO marks VALUES (%s + 0)", (one,))
                    await connection.execute("INSERT INTO marks SELECT %s", (one,))

        for number in range(12):
            with pytest.raises(psycopg.errors.NotNullViolation):
                await mark(number, None, number)
            await mark(number)
        async with database.primary() as connection:
            found = await (await connection.execute("SELECT mark, count(*) FROM marks GROUP BY mark")).fetchall()
        assert sorted(found) == [(number, 2) for number in range(12)]
