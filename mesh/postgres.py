"""A pool of Postgres connections, and the check that its acknowledgements are durable."""

import select
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from mesh.cancellation import raise_if_cancelled
from mesh.config import PostgresConfig
from mesh.errors import RefusedToServe, Unavailable

Connection = AsyncConnection[Any]

POOL_WAIT_SECONDS = 2.0
CONNECT_SECONDS = 3
IDLE_IN_TRANSACTION_SECONDS = 10.0
"""How long a transaction may wait for its own process before the server rolls it back."""
START_SECONDS = 10.0
"""How long a process that starts waits for Postgres."""
RECONNECT_SECONDS = 2.0
"""When the pool gives up on one new connection; whoever asks next starts afresh, so that no backoff grows long."""

# A server that vanished without a word is noticed within ten seconds or so, not after hours.
_NETWORK = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000}


class PostgresUnavailable(Unavailable):
    """Postgres is away, all its connections are busy, or a statement took longer than it may."""

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
    async def pipeline(self) -> AsyncIterator[Connection]:
        """Borrow a connection to the primary whose statements go out without waiting for each other's answers.

        All of them are one transaction, which is committed at the end of the block; their answers may be read after it.
        """
        async with self.primary() as connection:
            try:
                async with connection.pipeline():
                    yield connection
            except BaseException as error:
                # psycopg takes statements for prepared that the server skipped behind the one that failed.
                await connection.close()
                raise _cause_of(error) from None

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
    config: PostgresConfig,
    *,
    idle_in_transaction_seconds: float = IDLE_IN_TRANSACTION_SECONDS,
    plans_once: bool = False,
) -> AsyncIterator[Postgres]:
    """Open the pools, wait for the first connection of each, close them at the end.

    The server rolls back a transaction that waits for its own process longer than `idle_in_transaction_seconds`, so
    that the locks of a process that hangs become free. `PostgresUnavailable` when there is no connection within 10 s.

    `plans_once`: a statement that comes again and again is planned once for all parameters, which suits statements that
    find their rows by key. Else the server may plan anew each time; over many partitions that took longer than the
    execution.
    """
    options = (
        f"-c statement_timeout={int(config.statement_timeout_seconds * 1000)} "
        f"-c idle_in_transaction_session_timeout={int(idle_in_transaction_seconds * 1000)} -c timezone=UTC "
        f"-c plan_cache_mode={'force_generic_plan' if plans_once else 'auto'}"
    )
    async with _pool(config, config.dsn, options) as primary:
        if config.replica_dsn is None:
            yield Postgres(primary, primary)
        else:
            async with _pool(config, config.replica_dsn, options) as replica:
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
            **_NETWORK,  # type: ignore[arg-type]
        )
        try:
            yield connection
        finally:
            await connection.close()


class _WarmPool(AsyncConnectionPool):
    """Lends the connection that came back last.

    The library lends in turns. But a server process that has just worked has its tables and plans in the processor's
    caches: with six connections of which one would do, Postgres took a tenth more for the same.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._pool = _Stack()


class _Stack(deque[Any]):
    """Takes back at the end from which it lends."""

    append = deque.appendleft


@asynccontextmanager
async def _pool(config: PostgresConfig, dsn: str, options: str) -> AsyncIterator[AsyncConnectionPool]:
    async def check(connection: Connection) -> None:
        # An idle connection has nothing to say, unless its server has closed it. So a restart of Postgres fails
        # nobody's first statement, and the price is a poll instead of a round trip.
        if not _is_readable(connection):
            return
        try:
            await pool.check_connection(connection)
        except psycopg.OperationalError:
            await pool.check()  # the others will be dead too: replace them now, not one by one
            raise

    pool = _WarmPool(
        dsn,
        min_size=1,
        max_size=config.pool_size,
        timeout=POOL_WAIT_SECONDS,
        reconnect_timeout=RECONNECT_SECONDS,
        # A waiting line longer than this could not be served in time anyway.
        max_waiting=config.pool_size * 20,
        open=False,
        check=check,
        kwargs={
            "autocommit": True,
            "connect_timeout": CONNECT_SECONDS,
            "options": options,
            **_NETWORK,
        },
    )
    try:
        try:
            await pool.open(wait=True, timeout=START_SECONDS)
        except PoolTimeout as error:
            raise away(dsn) from error
        yield pool
    finally:
        await pool.close()


def _cause_of(error: BaseException) -> BaseException:
    """Return what a pipeline failed with: psycopg may raise that a later statement was skipped instead."""
    while isinstance(error, psycopg.errors.PipelineAborted) and error.__context__ is not None:
        error = error.__context__
    return error


def _is_readable(connection: Connection) -> bool:
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def away(dsn: str) -> PostgresUnavailable:
    """Return the error that tells an operator which server does not answer; it holds no password."""
    parts = conninfo_to_dict(dsn)
    where = f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}"
    return PostgresUnavailable(
        f"Postgres at {where} does not let {parts.get('user', 'us')} into the database {parts.get('dbname', '')}; "
        "start it, or correct the address in the settings"
    )


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except (
        psycopg.OperationalError,  # TooManyRequests of the pool too, and a statement that took too long
        psycopg.InterfaceError,
        psycopg.errors.IdleInTransactionSessionTimeout,
        PoolTimeout,
    ) as error:
        raise PostgresUnavailable from error
    raise_if_cancelled()
