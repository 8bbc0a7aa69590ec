"""Whether this process takes one more request, or refuses it at once.

Past what a system can do, every further request that is taken makes all of them wait longer, until none is answered in
time. So a process takes as many as it can answer soon and refuses the others, which costs a fraction of an answer.
"""

from graphql import OperationType
from prometheus_client import Counter, Gauge

from mesh.errors import Overloaded

MAX_IN_FLIGHT = 32
"""Enough to keep this process and its services busy (a dozen do), and few enough to be answered within some 100 ms."""
MAX_WRITES = 128
"""A write waits for a disk, most of its time; with more of them only the wait grows (docs/adr/0052)."""
RETRY_AFTER_MS = 500

_refused = Counter("gateway_refused", "Requests refused because as many were in flight as may be", ["kind"])
_in_flight = Gauge("gateway_in_flight", "Requests being answered", ["kind"])


class Places:
    """The places for requests of one kind: `with places:` around a request, which raises `Overloaded`."""

    __slots__ = ("_most", "_refused", "_taken")

    def __init__(self, kind: str, most: int) -> None:
        self._most = most
        self._taken = 0
        self._refused = _refused.labels(kind)
        _in_flight.labels(kind).set_function(lambda: self._taken)

    def check(self) -> None:
        """Raise `Overloaded` when no place is free."""
        if self._taken >= self._most:
            self._refused.inc()
            raise Overloaded(retry_after_ms=RETRY_AFTER_MS)

    def __enter__(self) -> None:
        """Take a place, or raise `Overloaded`."""
        self.check()
        self._taken += 1

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        self._taken -= 1


class Admission:
    """Decides for one process. Subscriptions don't count: they wait, most of the time."""

    def __init__(self) -> None:
        self.reads = Places("read", MAX_IN_FLIGHT)
        """Of queries, and of whatever is not known yet to be none."""
        self.writes = Places("write", MAX_WRITES)

    def places(self, kind: OperationType) -> Places:
        """Return the places for the operations of a kind."""
        return self.writes if kind is OperationType.MUTATION else self.reads

    def admit(self, kind: OperationType) -> None:
        """Raise `Overloaded` for a write that there is no place for; asked before anything else is done for it."""
        if kind is OperationType.MUTATION:
            self.writes.check()
