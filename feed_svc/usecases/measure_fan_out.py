"""How far behind fan-out is."""

from dataclasses import dataclass

from prometheus_client import Gauge

from feed_svc.store import Store

_waiting = Gauge("feed_fan_out_waiting_posts", "Posts whose fan-out has not ended")
_oldest = Gauge("feed_fan_out_oldest_seconds", "Age of the oldest of them")


@dataclass(frozen=True, slots=True)
class MeasureFanOut:
    """Sets the lag metrics."""

    store: Store

    async def __call__(self) -> None:
        """Look once."""
        lag = await self.store.fan_out_lag()
        _waiting.set(lag.waiting)
        _oldest.set(lag.oldest_seconds)
