"""Whether this process takes one more request, or refuses it at once.

Past what a system can do, every further request that is taken makes all of them wait longer, until none is answered in
time. So a process takes as many as it can answer soon and refuses the others, which costs a fiftieth of an answer.
"""

from prometheus_client import Counter, Gauge

from mesh.errors import Overloaded

MAX_IN_FLIGHT = 32
"""Enough to keep this process and its services busy (a dozen do), and few enough to be answered within some 100 ms."""
RETRY_AFTER_MS = 500

_refused = Counter("gateway_refused", "Requests refused because as many were in flight as may be")
_in_flight = Gauge("gateway_in_flight", "Requests being answered")


class Admission:
    """Decides for one process: `with admission:` around a request, which raises `Overloaded`.

    Subscriptions don't count: they wait, most of the time.
    """

    def __init__(self) -> None:
        self._in_flight = 0
        _in_flight.set_function(lambda: self._in_flight)

    def __enter__(self) -> None:
        """Take a request, or raise `Overloaded`."""
        if self._in_flight >= MAX_IN_FLIGHT:
            _refused.inc()
            raise Overloaded(retry_after_ms=RETRY_AFTER_MS)
        self._in_flight += 1

    def __exit__(self, *_: object) -> None:
        """Be done with it."""
        self._in_flight -= 1
