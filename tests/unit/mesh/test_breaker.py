"""The circuit breaker and single flight."""

import asyncio

import pytest

from mesh.breaker import Breaker, BreakerOpen
from mesh.flight import SingleFlight


async def test_after_failures_in_a_row_nobody_is_asked_for_a_moment() -> None:
    now = 0.0
    asked = 0

    async def fail() -> None:
        nonlocal asked
        asked += 1
        raise OSError

    breaker = Breaker("test", trouble=(OSError,), call_seconds=1, failures=3, open_seconds=1, now=lambda: now)
    for _ in range(3):
        with pytest.raises(OSError):
            await breaker.call(fail)
    with pytest.raises(BreakerOpen):
        await breaker.call(fail)
    assert asked == 3
    now = 1.5

    async def succeed() -> int:
        return 1

    assert await breaker.call(succeed) == 1
    assert not breaker.is_open


async def test_callers_of_one_key_share_one_computation() -> None:
    made = 0

    async def make() -> int:
        nonlocal made
        made += 1
        await asyncio.sleep(0.01)
        return made

    flights: SingleFlight[str, int] = SingleFlight()
    assert set(await asyncio.gather(*(flights.share("a", make) for _ in range(50)))) == {1}
    assert await flights.share("a", make) == 2
