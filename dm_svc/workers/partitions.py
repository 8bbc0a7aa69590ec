"""Shares the partitions among the workers that live."""

import asyncio
import math
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from prometheus_client import Gauge

from dm_svc.store.log import LogStore, OwnershipLost
from dm_svc.store.ownership import LockSession, open_lock_session
from dm_svc.workers.owner import Owner
from mesh import cancellation
from mesh.config import PostgresConfig
from mesh.errors import Unavailable
from mesh.jetstream import StreamBehind
from mesh.telemetry import get_logger

TICK_SECONDS = 0.4
"""How often a worker says that it lives, and looks for partitions without an owner."""
RETRY_SECONDS = 0.5

_log = get_logger(__name__)
_owned = Gauge("dm_partitions_owned", "Partitions in the hands of this process")


@dataclass(slots=True)
class Partitions:
    """Any number of workers share the partitions; when one comes or goes the others give or take.

    A lock says who owns a partition; it ends with the session that holds it, and the server ends the session of a
    process that is silent. The fence in the database is what keeps a stopped owner that wakes up from writing.
    """

    config: PostgresConfig
    store: LogStore
    own: Callable[[int], Owner]
    count: int
    takeover_seconds: float
    worker_id: uuid.UUID = field(default_factory=uuid.uuid4)
    _owners: dict[int, asyncio.Task[None]] = field(default_factory=dict)

    async def run(self) -> None:
        """Work until cancelled; on trouble give everything up and begin again. `StreamBehind` ends the process."""
        try:
            while True:
                try:
                    async with open_lock_session(self.config, silence_seconds=self.takeover_seconds) as session:
                        await self._share(session)
                except Unavailable as error:
                    _log.warning("partitions_given_up", cause=repr(error.__cause__ or error))
                finally:
                    await self._drop(list(self._owners))
                await asyncio.sleep(RETRY_SECONDS)
        finally:
            with suppress(Unavailable):
                await self.store.forget_worker(self.worker_id)

    async def _share(self, session: LockSession) -> None:
        while True:
            await session.keep()
            workers = await self.store.count_workers(self.worker_id, within_seconds=self.takeover_seconds + 1)
            share = math.ceil(self.count / max(workers, 1))
            await self._clear_ended(session)
            surplus = list(self._owners)[share:]
            await self._drop(surplus)
            for partition in surplus:
                await session.unlock(partition)
            # Each worker begins elsewhere, so that they don't ask for the same one.
            start = self.worker_id.int % self.count
            for partition in (*range(start, self.count), *range(start)):
                if len(self._owners) >= share:
                    break
                if partition not in self._owners and partition not in surplus and await session.try_lock(partition):
                    self._owners[partition] = asyncio.create_task(self.own(partition).run(), name=f"own_{partition}")
            _owned.set(len(self._owners))
            await asyncio.sleep(TICK_SECONDS)

    async def _clear_ended(self, session: LockSession) -> None:
        for partition, task in list(self._owners.items()):
            if not task.done():
                continue
            del self._owners[partition]
            await session.unlock(partition)
            error = task.exception()
            if isinstance(error, StreamBehind):
                raise error
            if isinstance(error, (OwnershipLost, Unavailable)):
                _log.warning("partition_lost", partition=partition, cause=repr(error))
            else:
                _log.error("partition_failed", partition=partition, exc_info=error)

    async def _drop(self, partitions: list[int]) -> None:
        await cancellation.end([self._owners.pop(partition) for partition in partitions])
