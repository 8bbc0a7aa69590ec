"""The delivery policy: read, set, weigh."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from feed_svc.domain import (
    DeliveryPolicy,
    PolicyChange,
    ThresholdCost,
    checked_change,
    checked_request_id,
    checked_thresholds,
)
from feed_svc.errors import IdempotencyKeyReused, PolicyInvalid, PolicyNotFound, PolicyVersionConflict
from feed_svc.store import Store
from mesh import ids
from mesh.clock import Clock

FRESH_MS = 3_000
"""Every process uses a new version within 5 s."""
DEFAULT_WINDOW_DAYS = 7
MAX_WINDOW_DAYS = 30


class PolicyBook:
    """Every version of the policy, read again when what is known is older than three seconds."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: list[DeliveryPolicy] = []
        self._read_ms = 0

    async def current(self) -> Sequence[DeliveryPolicy]:
        """Return the versions, newest first."""
        now = self._clock.now_ms()
        if not self._known or not 0 <= now - self._read_ms < FRESH_MS:
            self._known = await self._store.list_policies()
            self._read_ms = now
        return self._known

    def forget(self) -> None:
        """Read again next time: somebody has just set a version."""
        self._known = []


@dataclass(frozen=True, slots=True)
class GetPolicy:
    """One version."""

    store: Store

    async def __call__(self, version: int) -> DeliveryPolicy:
        """Return a version, the newest for 0; `PolicyNotFound` when there is none."""
        policies = await self.store.list_policies()
        found = [policy for policy in policies if version in (0, policy.version)]
        if not found:
            raise PolicyNotFound(version=version)
        return found[0]


@dataclass(frozen=True, slots=True)
class SetPolicy:
    """A new version for posts to come; those that exist keep their stamp."""

    store: Store
    book: PolicyBook
    clock: Clock

    async def __call__(
        self, change: PolicyChange, *, set_by: str, expected_version: int, request_id: str
    ) -> DeliveryPolicy:
        """Return the version that was made, by this call or the first one with this request id."""
        checked_request_id(request_id)
        checked_change(change)
        requested: dict[str, Any] = {**asdict(change), "expected_version": expected_version}
        async with self.store.transaction() as connection:
            await self.store.lock_policies(connection)
            policies = await self.store.policies_in(connection)
            done = await self.store.policy_of_request(connection, request_id)
            if done is None:
                newest = policies[0]
                if expected_version not in (0, newest.version):
                    raise PolicyVersionConflict(version=newest.version)
                policy = _changed(newest, change, set_by)
                await self.store.insert_policy(connection, policy, request_id=request_id, requested=requested)
                policies = await self.store.policies_in(connection)
                version = policy.version
            elif done.requested == requested:
                version = done.version
            else:
                raise IdempotencyKeyReused
        self.book.forget()
        return next(policy for policy in policies if policy.version == version)


@dataclass(frozen=True, slots=True)
class AdvisePolicy:
    """What other thresholds would have cost and saved, from the posts of the last days."""

    store: Store
    clock: Clock

    async def __call__(
        self, thresholds: Sequence[int], *, window_days: int
    ) -> tuple[list[ThresholdCost], ThresholdCost, float]:
        """Return the cost of each threshold, that of the policy in force, and the days of history there were."""
        checked_thresholds(thresholds)
        if not 0 <= window_days <= MAX_WINDOW_DAYS:
            raise PolicyInvalid(field="window_days", limit=MAX_WINDOW_DAYS)
        now = self.clock.now()
        first = ids.first_id_at(now - timedelta(days=window_days or DEFAULT_WINDOW_DAYS))
        begun = await self.store.first_post_time(first)
        days = max((now - begun) / timedelta(days=1), 1 / 24) if begun else 0.0
        wanted = [*thresholds, (await self.store.list_policies())[0].pull_threshold]
        pushes = await self.store.push_costs(wanted, first_post_id=first)
        pulls = await self.store.pulls_per_read(wanted, first_post_id=first)
        costs = [
            ThresholdCost(
                pull_threshold=one.threshold,
                pulled_author_count=one.pulled_author_count,
                pushes_per_day=one.pushes / days if days else 0.0,
                pulls_per_read=each,
                max_pushes_per_post=one.max_pushes_per_post,
            )
            for one, each in zip(pushes, pulls, strict=True)
        ]
        return costs[:-1], costs[-1], days


def _changed(newest: DeliveryPolicy, change: PolicyChange, set_by: str) -> DeliveryPolicy:
    kept = {
        name: value
        for name in ("pull_threshold", "hysteresis_percent", "rollout_percent")
        if (value := getattr(change, name)) is not None
    }
    return replace(newest, version=newest.version + 1, set_by=set_by, note=change.note, **kept)
