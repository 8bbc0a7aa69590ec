from datetime import UTC, datetime, timedelta

from mesh.clock import to_us
from mesh.database_clock import DatabaseClock

START = datetime(2026, 6, 1, tzinfo=UTC)


class Rig:
    """A database whose answer takes `there_us` to be read and `back_us` to come back."""

    def __init__(self) -> None:
        self.mono_us = 5_000_000
        self.shown = START
        self.there_us = 300
        self.back_us = 700
        self.clock = DatabaseClock(self.read, monotonic_us=lambda: self.mono_us)

    async def read(self) -> datetime:
        self.pass_us(self.there_us)
        shown = self.shown
        self.pass_us(self.back_us)
        return shown

    def pass_us(self, us: int) -> None:
        self.mono_us += us
        self.shown += timedelta(microseconds=us)


async def test_the_estimate_is_never_behind_and_at_most_a_round_trip_ahead():
    rig = Rig()
    for _ in range(50):
        await rig.clock.synchronise()
        ahead = to_us(rig.clock.now()) - to_us(rig.shown)
        assert 0 <= ahead <= rig.there_us + 1
        rig.pass_us(1_000_000)


async def test_a_slow_answer_does_not_spoil_a_sharp_estimate():
    rig = Rig()
    await rig.clock.synchronise()
    rig.there_us = rig.back_us = 400_000
    await rig.clock.synchronise()
    assert to_us(rig.clock.now()) - to_us(rig.shown) < 1_000


async def test_a_clock_that_was_set_forward_is_followed_at_once():
    rig = Rig()
    await rig.clock.synchronise()
    rig.shown += timedelta(hours=2)
    await rig.clock.synchronise()
    assert rig.clock.now() >= rig.shown


async def test_a_clock_that_was_set_back_never_takes_the_estimate_back():
    rig = Rig()
    await rig.clock.synchronise()
    before = rig.clock.now()
    rig.shown -= timedelta(hours=2)
    await rig.clock.synchronise()
    assert rig.clock.now() == before
    rig.pass_us(2 * 3_600_000_000 + 10_000_000)
    assert rig.clock.now() > before


async def test_while_the_database_is_away_the_estimate_grows_with_the_drift_allowed():
    rig = Rig()
    await rig.clock.synchronise()
    rig.pass_us(3_600_000_000)
    ahead_us = to_us(rig.clock.now()) - to_us(rig.shown)
    assert 0 < ahead_us < 1_000_000
