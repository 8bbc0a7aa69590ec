"""benchmarks.load and measure: the driver tells the truth about a server that stalls."""

import asyncio

import pytest

from benchmarks.load import closed_loop, open_loop, percentile
from benchmarks.measure import interleaved
from mesh.errors import Overloaded


@pytest.mark.parametrize(("percent", "expected"), [(0, 1), (50, 50), (99, 99), (99.5, 100), (100, 100)])
def test_percentiles_are_of_the_nearest_rank(percent: float, expected: float) -> None:
    assert percentile(tuple(float(value) for value in range(1, 101)), percent) == expected


def test_no_answer_is_infinitely_late() -> None:
    assert percentile((), 99) == float("inf")


async def test_open_loop_counts_the_wait_behind_a_stall() -> None:
    lock = asyncio.Lock()

    async def call(number: int) -> None:
        async with lock:  # one at a time, and the first takes long
            await asyncio.sleep(0.3 if number == 0 else 0)

    outcome = await open_loop(call, per_s=200, seconds=0.4)
    assert outcome.failed == 0
    assert 40 < outcome.answered < 130
    # Those who came during the stall waited for it: half of all calls, on average half of its length.
    assert outcome.percentile_ms(50) > 50


async def test_open_loop_tells_when_each_call_was_to_be_sent() -> None:
    made: dict[int, float] = {}
    intended: dict[int, float] = {}

    async def call(number: int) -> None:
        made[number] = asyncio.get_running_loop().time()

    await open_loop(call, per_s=200, seconds=0.2, intended=intended)
    assert intended.keys() == made.keys()
    assert list(intended.values()) == sorted(intended.values())
    assert all(intended[number] <= made[number] for number in made)


async def test_failures_are_counted_by_reason() -> None:
    async def call(number: int) -> None:
        await asyncio.sleep(0)
        if number % 3 == 0:
            raise Overloaded
        if number % 3 == 1:
            raise ValueError

    outcome = await open_loop(call, per_s=500, seconds=0.1)
    assert set(outcome.failures) == {"OVERLOADED", "ValueError"}
    assert outcome.answered + outcome.failed > 20


async def test_closed_loop_keeps_as_many_in_flight_as_asked() -> None:
    now = highest = 0

    async def call(_: int) -> None:
        nonlocal now, highest
        now += 1
        highest = max(highest, now)
        await asyncio.sleep(0.001)
        now -= 1

    assert (await closed_loop(call, callers=7, seconds=0.05)).answered > 7
    assert highest == 7


async def test_interleaved_takes_ratios_within_a_round() -> None:
    drift = iter([1.0, 1.0, 10.0, 10.0, 2.0, 2.0])

    async def ours() -> float:
        return 2 * next(drift)

    async def reference() -> float:
        return next(drift)

    compared = await interleaved(3, ours=ours, reference=reference)
    assert compared.ratio("ours", "reference") == 2
    assert compared.median("reference") == 2
