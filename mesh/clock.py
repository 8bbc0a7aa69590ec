"""Time, passed in wherever it matters, so that tests move it instead of waiting."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """What a process knows of time."""

    def now(self) -> datetime:
        """Return the present moment, in UTC."""
        ...

    def now_ms(self) -> int:
        """Return whole milliseconds since 1970-01-01T00:00Z."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present moment, in UTC."""
        return datetime.now(UTC)

    def now_ms(self) -> int:
        """Return whole milliseconds since 1970-01-01T00:00Z."""
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        """Return the moment that the clock was set to."""
        return self._now

    def now_ms(self) -> int:
        """Return the same moment in milliseconds since 1970-01-01T00:00Z."""
        return to_ms(self._now)

    def move(self, by: timedelta) -> None:
        """Move the clock; a negative step moves it back."""
        self._now += by


def to_ms(moment: datetime) -> int:
    """Return whole milliseconds since 1970, rounded down."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


def from_ms(milliseconds: int) -> datetime:
    """Return the UTC moment of so many milliseconds since 1970."""
    return EPOCH + timedelta(milliseconds=milliseconds)


def to_us(moment: datetime) -> int:
    """Return whole microseconds since 1970: exact for what Postgres stores."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def from_us(microseconds: int) -> datetime:
    """Return the UTC moment of so many microseconds since 1970."""
    return EPOCH + timedelta(microseconds=microseconds)
