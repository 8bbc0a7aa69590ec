"""Rate limits in cost units: a bucket per person and one per network address, in this process.

A bucket holds a minute's worth and refills steadily. With several gateways a person has as many buckets; the limit is
a guard against abuse, not an account.
"""

import time
from collections import OrderedDict

from gateway.errors import RateLimited

MAX_BUCKETS = 100_000
WINDOW_SECONDS = 60.0


class RateLimiter:
    """Buckets by key; the least recently used are forgotten, which is the same as full."""

    def __init__(self, per_minute: int) -> None:
        self._capacity = float(per_minute)
        self._per_second = per_minute / WINDOW_SECONDS
        self._buckets: OrderedDict[int | str, tuple[float, float]] = OrderedDict()

    def spend(self, key: int | str, cost: float) -> None:
        """Take `cost` units from the bucket of `key`; `RateLimited` with the wait in ms when they aren't there."""
        now = time.monotonic()
        left, since = self._buckets.pop(key, (self._capacity, now))
        left = min(self._capacity, left + (now - since) * self._per_second)
        if left < cost:
            self._buckets[key] = (left, now)
            wait = (min(cost, self._capacity) - left) / self._per_second
            raise RateLimited(retry_after_ms=int(wait * 1000) + 1)
        self._buckets[key] = (left - cost, now)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
