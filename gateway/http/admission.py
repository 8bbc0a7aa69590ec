"""Whether this process takes one more request, or refuses it at once because it is behind.

What a process of one thread runs out of is its thread, so that is what is measured: how late a timer fires. While it
fires late, new requests are refused, which costs a hundredth of answering them; those that were taken are finished in
time. A limit by number alone would not do: two hundred requests that wait for a slow service cost nothing, and twenty
that compute hold everybody up.
"""

import asyncio

from prometheus_client import Counter, Gauge

from mesh.errors import Overloaded

TICK_SECONDS = 0.005
LATE_SECONDS = 0.02
"""So late a timer may be; refusals then leave well within 50 ms."""
MOST_IN_FLIGHT = 1_000
"""However idle the thread: each holds memory."""
RETRY_AFTER_MS = 500

_refused = Counter("gateway_refused", "Requests refused because the process was behind")
_late = Gauge("gateway_late_seconds", "How late the event loop is, as last measured")


class Admission:
    """Decides for one process; `watch` must run for as long as it serves."""

    def __init__(self) -> None:
        self._late = 0.0
        self._in_flight = 0

    async def watch(self) -> None:
        """Measure how late the event loop is, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            self._late = max(0.0, loop.time() - due)
            _late.set(self._late)

    def check(self) -> None:
        """Raise `Overloaded` when a request is to come back later."""
        if self._late > LATE_SECONDS or self._in_flight >= MOST_IN_FLIGHT:
            _refused.inc()
            raise Overloaded(retry_after_ms=RETRY_AFTER_MS)

    def __enter__(self) -> None:
        """Take a request, or raise `Overloaded`."""
        self.check()
        self._in_flight += 1

    def __exit__(self, *_: object) -> None:
        """Be done with it."""
        self._in_flight -= 1
