"""The alarm by which load is sent at its moments."""

import time
from contextlib import closing

from benchmarks.alarm import Alarm


async def test_it_rings_at_the_moment_and_not_before() -> None:
    with closing(Alarm()) as alarm:
        for _ in range(20):
            moment = time.monotonic() + 0.003
            await alarm.wait_until(moment)
            assert time.monotonic() >= moment


async def test_what_is_past_is_not_waited_for() -> None:
    with closing(Alarm()) as alarm:
        await alarm.wait_until(time.monotonic() - 1)
        await alarm.wait_until(0)
