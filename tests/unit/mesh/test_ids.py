"""mesh.ids: 64-bit, time-ordered, never double."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.clock import ManualClock, SystemClock
from mesh.ids import IdMaker, created_at, first_id_at

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
LAST_YEAR = datetime(2095, 1, 1, tzinfo=UTC)


def test_ids_grow_and_fit_a_signed_bigint_until_2095() -> None:
    clock = ManualClock(START)
    maker = IdMaker(clock=clock, node=1023)
    made = []
    for step in (0, 1, 1, 1000, 86_400_000):
        clock.move(timedelta(milliseconds=step))
        made += [maker.next_id() for _ in range(10)]
    assert made == sorted(set(made))
    assert 0 < IdMaker(clock=ManualClock(LAST_YEAR), node=1023).next_id() < 2**63


def test_an_id_tells_its_millisecond() -> None:
    moment = START.replace(microsecond=123_000)
    assert created_at(IdMaker(clock=ManualClock(moment), node=3).next_id()) == moment


@given(steps=st.lists(st.integers(-5_000, 5_000), min_size=1, max_size=60))
def test_ids_grow_even_when_the_clock_jumps_back(steps: list[int]) -> None:
    clock = ManualClock(START)
    maker = IdMaker(clock=clock, node=7)
    made = []
    for step in steps:
        clock.move(timedelta(milliseconds=step))
        made += [maker.next_id(), maker.next_id()]
    assert all(later > earlier for earlier, later in itertools.pairwise(made))


def test_ten_thousand_ids_of_one_millisecond_are_distinct_and_run_ahead_by_few_milliseconds() -> None:
    maker = IdMaker(clock=ManualClock(START), node=0)
    made = [maker.next_id() for _ in range(10_000)]
    assert len(set(made)) == 10_000
    assert created_at(made[-1]) - START < timedelta(milliseconds=6)


def test_two_nodes_never_make_the_same_id() -> None:
    clock = ManualClock(START)
    one, other = (IdMaker(clock=clock, node=node) for node in (1, 2))
    assert {one.next_id() for _ in range(5_000)}.isdisjoint({other.next_id() for _ in range(5_000)})


def test_the_sequence_starts_at_another_place_in_each_millisecond() -> None:
    clock = ManualClock(START)
    maker = IdMaker(clock=clock, node=0)
    starts = set()
    for _ in range(20):
        clock.move(timedelta(milliseconds=1))
        starts.add(maker.next_id() & 0xFFF)
    assert len(starts) > 10


def test_first_id_at_divides_ids_by_time() -> None:
    clock = ManualClock(START)
    maker = IdMaker(clock=clock, node=512)
    before = maker.next_id()
    clock.move(timedelta(milliseconds=1))
    after = maker.next_id()
    assert before < first_id_at(START + timedelta(milliseconds=1)) <= after
    assert first_id_at(datetime(1999, 1, 1, tzinfo=UTC)) == 0


@pytest.mark.parametrize("node", [-1, 1024])
def test_a_node_outside_ten_bits_is_refused(node: int) -> None:
    with pytest.raises(ValueError, match="node must be 0 to 1023"):
        IdMaker(clock=SystemClock(), node=node)
