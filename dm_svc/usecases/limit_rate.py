"""Keep one person from taking what belongs to all."""

from collections import OrderedDict
from dataclasses import dataclass, field

from dm_svc.domain.values import UserId
from dm_svc.errors import RateLimited
from mesh.clock import Clock

REMEMBERED = 50_000
"""People whose use is remembered, the latest ones; who is forgotten begins anew."""


@dataclass(frozen=True, slots=True)
class LimitRate:
    """A token bucket per person, in this process."""

    clock: Clock
    per_second: float
    burst: float
    _full_at_ms: "OrderedDict[UserId, float]" = field(default_factory=OrderedDict)
    """When each person's bucket will be full again."""

    def __call__(self, user_id: UserId) -> None:
        """Take one token; `RateLimited` when there is none."""
        now = self.clock.now_ms()
        cost = 1000 / self.per_second
        full_at = max(self._full_at_ms.pop(user_id, 0.0), now) + cost
        allowed = full_at - now <= self.burst * cost
        self._full_at_ms[user_id] = full_at if allowed else full_at - cost
        if len(self._full_at_ms) > REMEMBERED:
            self._full_at_ms.popitem(last=False)
        if not allowed:
            raise RateLimited(retry_after_ms=int(full_at - now - self.burst * cost) + 1)
