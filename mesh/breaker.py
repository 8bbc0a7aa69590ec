"""A circuit breaker: whoever is away is not asked again for a moment, so that its callers fail at once, not after a
timeout each.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from prometheus_client import Counter

from mesh.errors import Unavailable
from mesh.telemetry import get_logger

T = TypeVar("T")

_log = get_logger(__name__)
_opened = Counter("breaker_opened", "How often a breaker opened", ["breaker"])


class BreakerOpen(Unavailable):
    """The dependency failed several times in a row and is left alone for a moment."""


class Breaker:
    """Lets calls pass until `failures` in a row have failed, then refuses them for `open_seconds`.

    After that time one call tries again; its outcome decides for the others.
    """

    def __init__(
        self,
        name: str,
        *,
        trouble: tuple[type[BaseException], ...],
        call_seconds: float,
        failures: int = 5,
        open_seconds: float = 1.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`trouble` are the exceptions that count as failures, beside a call that takes longer than `call_seconds`."""
        self._name = name
        self._trouble: tuple[type[BaseException], ...] = (*trouble, TimeoutError)
        self._call_seconds = call_seconds
        self._failures = failures
        self._open_seconds = open_seconds
        self._now = now
        self._failed = 0
        self._opened_at: float | None = None
        self._is_tried = False

    @property
    def is_open(self) -> bool:
        """Whether calls are refused right now."""
        return self._opened_at is not None and (self._is_tried or self._now() - self._opened_at < self._open_seconds)

    async def call(self, make: Callable[[], Awaitable[T]]) -> T:
        """Return what the call returns; `BreakerOpen` without a call while open, `TimeoutError` when it takes long."""
        if self.is_open:
            raise BreakerOpen(f"{self._name} does not answer right now; retry soon")
        self._is_tried = self._opened_at is not None
        try:
            async with asyncio.timeout(self._call_seconds):
                result = await make()
        except self._trouble:
            self._fail()
            raise
        except BaseException:
            self._is_tried = False
            raise
        self._failed = 0
        self._opened_at = None
        self._is_tried = False
        return result

    def _fail(self) -> None:
        self._failed += 1
        self._is_tried = False
        if self._failed >= self._failures:
            if self._opened_at is None:
                _opened.labels(self._name).inc()
                _log.warning("breaker_opened", breaker=self._name)
            self._opened_at = self._now()
