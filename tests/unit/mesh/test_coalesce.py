"""mesh.coalesce: calls that come together are made together, and each gets its own result."""

import asyncio

import pytest

from mesh.coalesce import Coalescer


class Doubling:
    """Doubles numbers; a batch waits until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = asyncio.Event()

    async def __call__(self, numbers: list[int]) -> list[int]:
        self.batches.append(numbers)
        await self.go.wait()
        if 13 in numbers:
            raise ValueError("13")
        return [2 * number for number in numbers]


async def start(*calls):
    tasks = [asyncio.ensure_future(call) for call in calls]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_what_comes_while_a_batch_is_under_way_goes_together_in_the_next():
    double = Doubling()
    coalesced = Coalescer(double, most=100)
    first = await start(coalesced(1))
    others = await start(*(coalesced(number) for number in range(2, 6)))
    double.go.set()
    assert await asyncio.gather(*first, *others) == [2, 4, 6, 8, 10]
    assert double.batches == [[1], [2, 3, 4, 5]]


async def test_no_batch_is_larger_than_allowed():
    double = Doubling()
    double.go.set()
    coalesced = Coalescer(double, most=3)
    assert await asyncio.gather(*(coalesced(number) for number in range(8))) == [2 * number for number in range(8)]
    assert max(map(len, double.batches)) == 3


async def test_a_failure_is_told_to_each_of_its_batch_and_to_nobody_else():
    double = Doubling()
    coalesced = Coalescer(double, most=100)
    first = await start(coalesced(1))
    unlucky = await start(coalesced(13), coalesced(14))
    double.go.set()
    results = await asyncio.gather(*first, *unlucky, return_exceptions=True)
    assert results[0] == 2
    assert [type(result) for result in results[1:]] == [ValueError, ValueError]
    assert await coalesced(3) == 6


async def test_a_caller_that_gives_up_takes_nobody_with_it():
    double = Doubling()
    coalesced = Coalescer(double, most=100)
    first = await start(coalesced(1))
    impatient, patient = await start(coalesced(2), coalesced(3))
    impatient.cancel()
    await asyncio.sleep(0)
    double.go.set()
    assert await asyncio.gather(*first, patient) == [2, 6]
    assert double.batches == [[1], [3]]
    with pytest.raises(asyncio.CancelledError):
        await impatient


async def test_the_deadline_of_one_caller_is_not_that_of_the_batch():
    double = Doubling()
    coalesced = Coalescer(double, most=100)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await coalesced(1)
    others = await start(coalesced(2))
    double.go.set()
    assert await asyncio.gather(*others) == [4]
