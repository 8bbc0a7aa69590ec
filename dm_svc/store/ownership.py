"""Advisory locks: who owns which partition. They end with the session that holds them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dm_svc.store.rows import QUERIES
from mesh import postgres
from mesh.config import PostgresConfig
from mesh.postgres import Connection


class LockSession:
    """One database session that holds locks; every call also says that its process lives."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def keep(self) -> None:
        """Say that the process lives; raises when the session, and with it every lock, is gone."""
        await self._connection.execute("SELECT")

    async def try_lock(self, partition: int) -> bool:
        """Whether the session owns the partition from now on."""
        return bool(await QUERIES["try_lock_partition"].value(self._connection, partition=partition))

    async def unlock(self, partition: int) -> None:
        """Give the partition to whoever wants it."""
        await QUERIES["unlock_partition"].value(self._connection, partition=partition)


@asynccontextmanager
async def open_lock_session(config: PostgresConfig, *, silence_seconds: float) -> AsyncIterator[LockSession]:
    """Open a session that the server ends, with its locks, after so many seconds of silence."""
    async with postgres.open_session(config, silence_seconds=silence_seconds) as connection:
        yield LockSession(connection)
