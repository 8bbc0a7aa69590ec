"""Versions of the delivery policy, and what other thresholds would cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from feed_svc.domain import DeliveryPolicy
from feed_svc.store.base import Base
from mesh import queries
from mesh.postgres import Connection

_QUERIES = queries.load("feed_svc", "sql/policies.sql")
READERS_SAMPLED = 1_000


@dataclass(frozen=True, slots=True)
class RequestedPolicy:
    """What a request asked for and the version it made."""

    version: int
    requested: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PushCost:
    """What a threshold would have cost in writes."""

    threshold: int
    pulled_author_count: int
    pushes: int
    max_pushes_per_post: int


class Policies(Base):
    """The delivery policy."""

    async def list_policies(self) -> list[DeliveryPolicy]:
        """Return every version, newest first; there is always one."""
        async with self._postgres.primary() as connection:
            return await self.policies_in(connection)

    async def policies_in(self, connection: Connection) -> list[DeliveryPolicy]:
        """Return the same inside a transaction."""
        return await _QUERIES["list_policies"].all(connection, DeliveryPolicy)

    async def lock_policies(self, connection: Connection) -> None:
        """Let one change happen at a time."""
        await _QUERIES["lock_policies"].run(connection)

    async def policy_of_request(self, connection: Connection, request_id: str) -> RequestedPolicy | None:
        """Return what a request made."""
        return await _QUERIES["policy_of_request"].one(connection, RequestedPolicy, request_id=request_id)

    async def insert_policy(
        self, connection: Connection, policy: DeliveryPolicy, *, request_id: str, requested: Mapping[str, Any]
    ) -> None:
        """Write a version under the lock; its time is the database's."""
        await _QUERIES["insert_policy"].run(
            connection,
            version=policy.version,
            pull_threshold=policy.pull_threshold,
            hysteresis_percent=policy.hysteresis_percent,
            rollout_percent=policy.rollout_percent,
            set_by=policy.set_by,
            note=policy.note,
            request_id=request_id,
            requested=Jsonb(requested),
        )

    async def push_costs(self, thresholds: Sequence[int], *, first_post_id: int) -> list[PushCost]:
        """Return what thresholds would have cost in writes since a post, in their order."""
        async with self._postgres.read() as connection:
            return await _QUERIES["threshold_costs"].all(
                connection, PushCost, thresholds=list(thresholds), first_post_id=first_post_id
            )

    async def pulls_per_read(self, thresholds: Sequence[int], *, first_post_id: int) -> list[float]:
        """Return how many authors an average reader would have pulled with each threshold, in their order."""
        async with self._postgres.read() as connection:
            return await _QUERIES["pulls_per_read"].values(
                connection, thresholds=list(thresholds), first_post_id=first_post_id, sample=READERS_SAMPLED
            )

    async def first_post_time(self, first_post_id: int) -> datetime | None:
        """Return when the first post from an id on was created."""
        async with self._postgres.read() as connection:
            moment: datetime | None = await _QUERIES["first_post_time"].value(connection, first_post_id=first_post_id)
        return moment
