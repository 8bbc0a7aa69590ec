"""A pool of Postgres connections, and the check that its acknowledgements are durable."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from mesh.config import PostgresConfig
from mesh.errors import RefusedToServe, Unavailable

Connection = AsyncConnection[Any]

POOL_WAIT_SECONDS = 2.0
CONNECT_SECONDS = 3
IDLE_IN_TRANSACTION_SECONDS = 10.0
"""How long a transaction may wait for its own process before the server rolls it back."""
START_SECONDS = 10.0
"""How long a process that starts waits for Postgres."""


class PostgresUnavailable(Unavailable):
    """Postgres is away, or all its connections are busy."""

    reason = "DATABASE_UNAVAILABLE"
    message = "the database does not answer right now; retry soon"


class Postgres:
    """Connections to one database; `read` goes to the replica where one is configured.

    Both contexts turn a lost or refused connection into `PostgresUnavailable`. After such an error inside
    `transaction` the caller can't know whether the commit happened: every write therefore has a key that makes it
    safe to repeat.
    """

    def __init__(self, primary: AsyncConnectionPool, replica: AsyncConnectionPool) -> None:
        self._primary = primary
        self._replica = replica

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Open a transaction on the primary; commit at the end, roll back on any exception."""
        async with _translated(), self._primary.connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def primary(self) -> AsyncIterator[Connection]:
        """Borrow a connection to the primary in autocommit: each statement is its own transaction."""
        async with _translated(), self._primary.connection() as connection:
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """Borrow a connection for reads that may lag behind the primary by the replica's delay."""
        async with _translated(), self._replica.connection() as connection:
            yield connection

    async def ping(self) -> None:
        """Raise `PostgresUnavailable` unless the primary answers."""
        async with self.primary() as connection:
            await connection.execute("SELECT 1")

    async def refuse_unless_durable(self) -> None:
        """Raise `RefusedToServe` when a commit would be acknowledged before it is on disk."""
        async with self.primary() as connection:
            for name in ("fsync", "synchronous_commit", "full_page_writes"):
                cursor = await connection.execute("SELECT current_setting(%s)", (name,))
                row = await cursor.fetchone()
                if row is None or row[0] == "off":
                    raise RefusedToServe(
                        f"Postgres runs with {name}=off: a commit could be lost; set it on and start again"
                    )


@asynccontextmanager
async def connect(
    config: PostgresConfig, *, idle_in_transaction_seconds: float = IDLE_IN_TRANSACTION_SECONDS
) -> AsyncIterator[Postgres]:
    """Open the pools, wait for the first connection of each, close them at the end.

    The server rolls back a transaction that waits for its own process longer than `idle_in_transaction_seconds`, so
    that the locks of a process that hangs become free. `PostgresUnavailable` when there is no connection within 10 s.
    """
    async with _pool(config, config.dsn, idle_in_transaction_seconds) as primary:
        if config.replica_dsn is None:
            yield Postgres(primary, primary)
        else:
            async with _pool(config, config.replica_dsn, idle_in_transaction_seconds) as replica:
                yield Postgres(primary, replica)


@asynccontextmanager
async def open_session(config: PostgresConfig, *, silence_seconds: float) -> AsyncIterator[Connection]:
    """Open a connection of its own in autocommit, for locks that end with it.

    The server ends it after so many seconds without a statement: the locks of a process that hangs, or that the
    network has lost, become free.
    """
    async with _translated():
        connection = await AsyncConnection.connect(
            config.dsn,
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            options=f"-c statement_timeout={int(silence_seconds * 1000)} "
            f"-c idle_session_timeout={int(silence_seconds * 1000)} -c timezone=UTC",
        )
        try:
            yield connection
        finally:
            await connection.close()


@asynccontextmanager
async def _pool(
    config: PostgresConfig, dsn: str, idle_in_transaction_seconds: float
) -> AsyncIterator[AsyncConnectionPool]:
    pool = AsyncConnectionPool(
        dsn,
        min_size=1,
        max_size=config.pool_size,
        timeout=POOL_WAIT_SECONDS,
        # A waiting line longer than this could not be served in time anyway.
        max_waiting=config.pool_size * 20,
        open=False,
        check=None,
        kwargs={
            "autocommit": True,
            "connect_timeout": CONNECT_SECONDS,
            "options": f"-c statement_timeout={int(config.statement_timeout_seconds * 1000)} "
            f"-c idle_in_transaction_session_timeout={int(idle_in_transaction_seconds * 1000)} -c timezone=UTC",
        },
    )
    async with _translated():
        await pool.open(wait=True, timeout=START_SECONDS)
    try:
        yield pool
    finally:
        await pool.close()


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
        # TooManyRequests of the pool is an OperationalError too.
        raise PostgresUnavailable from error
