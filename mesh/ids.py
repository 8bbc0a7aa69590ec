"""64-bit ids that sort by creation and fit a signed bigint.

Layout (the order of Twitter's Snowflake): 41 bits of milliseconds since 2026-01-01, 10 bits of node, 12 bits of
sequence. The sequence starts at a random place in each millisecond, so ids can't be counted; the node number, given to
each process by what starts it (`HELIOGRAPH_NODE`), keeps two processes apart.
"""

import secrets
from datetime import UTC, datetime

from mesh.clock import Clock, from_ms, to_ms

FIRST_MS = to_ms(datetime(2026, 1, 1, tzinfo=UTC))
NODE_BITS = 10
SEQUENCE_BITS = 12
_SEQUENCES = 1 << SEQUENCE_BITS


class IdMaker:
    """Makes ids that grow strictly within the process, also when the clock is set back.

    At most 4,096 ids a millisecond; past that they run ahead of the clock, never double.
    """

    def __init__(self, *, clock: Clock, node: int) -> None:
        if not 0 <= node < 1 << NODE_BITS:
            raise ValueError(f"node must be 0 to {(1 << NODE_BITS) - 1}, not {node}")
        self._clock = clock
        self._node = node
        self._last_ms = 0
        self._first_sequence = 0
        self._used = 0

    def next_id(self) -> int:
        """Return a new id."""
        now = self._clock.now_ms() - FIRST_MS
        if now > self._last_ms:
            self._open(now)
        elif self._first_sequence + self._used >= _SEQUENCES:
            self._open(self._last_ms + 1)
        sequence = self._first_sequence + self._used
        self._used += 1
        return (self._last_ms << NODE_BITS | self._node) << SEQUENCE_BITS | sequence

    def _open(self, millisecond: int) -> None:
        self._last_ms = millisecond
        # The lower half only: at least 2,048 ids remain, and they still grow within the millisecond.
        self._first_sequence = secrets.randbelow(_SEQUENCES // 2)
        self._used = 0


def created_at(an_id: int) -> datetime:
    """Return the moment at which an id was made, to the millisecond."""
    return from_ms((an_id >> (NODE_BITS + SEQUENCE_BITS)) + FIRST_MS)


def first_id_at(moment: datetime) -> int:
    """Return the smallest id that could be made at that moment: a bound for keyset queries."""
    return max(to_ms(moment) - FIRST_MS, 0) << (NODE_BITS + SEQUENCE_BITS)
