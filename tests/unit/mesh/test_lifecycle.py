"""mesh.lifecycle: start in order, stop in reverse, and no process that only looks alive."""

import asyncio
import os
import signal
from contextlib import asynccontextmanager

import pytest

from mesh import lifecycle
from mesh.errors import RefusedToServe, Unavailable


@pytest.fixture
def told(monkeypatch):
    """What a process logs, as event names."""
    events = []

    class Log:
        def __getattr__(self, _level):
            return lambda event, **fields: events.append((event, fields.get("why")))

    monkeypatch.setattr(lifecycle, "_log", Log())
    return events


@pytest.fixture(autouse=True)
async def _signals_as_before():
    yield
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)


def names(told):
    return [event for event, _ in told]


def context(name, steps, *, fails=False):
    @asynccontextmanager
    async def enter():
        steps.append(f"+{name}")
        try:
            yield name
        finally:
            steps.append(f"-{name}")
        if fails:
            raise RuntimeError(name)

    return enter()


async def forever():
    await asyncio.Event().wait()


def stop_by_signal():
    os.kill(os.getpid(), signal.SIGTERM)


async def test_stops_in_reverse_order_drains_first_then_loops_then_contexts(told):
    steps = []

    async def loop():
        try:
            await forever()
        finally:
            steps.append("loop ended")

    async def drained(name):
        steps.append(f"drained {name}")

    async def start(process):
        await process.enter(context("a", steps))
        await process.enter(context("b", steps))
        process.drain(lambda: drained("first"))
        process.drain(lambda: drained("second"))
        process.loop("loop", loop)
        asyncio.get_running_loop().call_soon(stop_by_signal)

    assert await lifecycle.run(start) == 0
    assert steps == ["+a", "+b", "drained second", "drained first", "loop ended", "-b", "-a"]
    assert names(told) == ["ready", "stopping"]


async def test_a_loop_that_raises_stops_the_process_with_status_1(told):
    async def loop():
        raise ValueError

    async def start(process):
        process.loop("loop", loop)

    assert await lifecycle.run(start) == 1
    assert "loop_died" in names(told)


async def test_a_loop_that_returns_stops_the_process_with_status_1(told):
    async def loop():
        return

    async def start(process):
        process.loop("loop", loop)

    assert await lifecycle.run(start) == 1
    assert "loop_died" in names(told)


async def test_a_loop_that_is_cancelled_by_itself_stops_the_process_with_status_1(told):
    async def loop():
        raise asyncio.CancelledError

    async def start(process):
        process.loop("loop", loop)

    assert await lifecycle.run(start) == 1
    assert "loop_died" in names(told)


async def test_a_refusal_is_told_in_a_sentence_and_gives_back_what_was_acquired(told):
    steps = []

    async def start(process):
        await process.enter(context("a", steps))
        raise RefusedToServe("fsync is off")

    assert await lifecycle.run(start) == lifecycle.REFUSED
    assert told == [("refused_to_serve", "fsync is off")]
    assert steps == ["+a", "-a"]


async def test_a_refusal_inside_a_task_group_is_still_a_refusal(told):
    async def refuse():
        raise RefusedToServe("the bucket is public")

    async def start(_process):
        async with asyncio.TaskGroup() as group:
            group.create_task(refuse())
            group.create_task(forever())

    assert await lifecycle.run(start) == lifecycle.REFUSED
    assert told == [("refused_to_serve", "the bucket is public")]


async def test_a_dependency_that_is_away_at_the_start_is_told_in_a_sentence_with_status_1(told):
    async def start(_process):
        raise Unavailable("Postgres does not answer")

    assert await lifecycle.run(start) == 1
    assert told == [("start_failed", "UNAVAILABLE: Postgres does not answer")]


async def test_any_other_failure_of_the_start_ends_loops_and_contexts_with_status_1(told):
    steps = []

    async def loop():
        try:
            await forever()
        finally:
            steps.append("loop ended")

    async def start(process):
        await process.enter(context("a", steps))
        process.loop("loop", loop)
        await asyncio.sleep(0)
        raise KeyError

    assert await lifecycle.run(start) == 1
    assert steps == ["+a", "loop ended", "-a"]
    assert names(told) == ["start_failed"]


async def test_a_signal_ends_a_start_that_waits_for_a_server(told):
    steps = []

    async def start(process):
        await process.enter(context("a", steps))
        asyncio.get_running_loop().call_soon(stop_by_signal)
        await forever()

    async with asyncio.timeout(5):
        assert await lifecycle.run(start) == 0
    assert steps == ["+a", "-a"]
    assert "ready" not in names(told)


async def test_a_drain_that_fails_keeps_no_other_from_its_work(told):
    steps = []

    async def fails():
        raise RuntimeError

    async def drained():
        steps.append("drained")

    async def start(process):
        await process.enter(context("a", steps))
        process.drain(drained)
        process.drain(fails)
        process.stop()

    assert await lifecycle.run(start) == 1
    assert steps == ["+a", "drained", "-a"]
    assert "drain_failed" in names(told)


async def test_a_context_that_fails_to_close_keeps_no_other_from_closing(told):
    steps = []

    async def start(process):
        await process.enter(context("a", steps))
        await process.enter(context("b", steps, fails=True))
        process.stop()

    assert await lifecycle.run(start) == 1
    assert steps == ["+a", "+b", "-b", "-a"]
    assert "stop_failed" in names(told)


async def test_a_second_signal_ends_the_process_at_once(told, monkeypatch):
    ended = []
    monkeypatch.setattr(lifecycle.os, "_exit", ended.append)

    async def start(process):
        process.stop()
        process.stop()

    await lifecycle.run(start)
    assert ended == [lifecycle.FAILED]


async def test_a_context_that_hangs_while_closing_is_left_behind(told, monkeypatch):
    ended = asyncio.Event()
    monkeypatch.setattr(lifecycle, "CLOSE_SECONDS", 0.05)
    monkeypatch.setattr(lifecycle.os, "_exit", lambda status: ended.set())

    @asynccontextmanager
    async def hangs():
        yield
        await ended.wait()

    async def start(process):
        await process.enter(hangs())
        process.stop()

    async with asyncio.timeout(5):
        await lifecycle.run(start)
    assert "stop_hung" in names(told)


async def test_a_clean_stop_leaves_no_timer_that_would_end_the_process_later(monkeypatch):
    ended = []
    monkeypatch.setattr(lifecycle, "CLOSE_SECONDS", 0.01)
    monkeypatch.setattr(lifecycle.os, "_exit", ended.append)

    async def start(process):
        process.stop()

    assert await lifecycle.run(start) == 0
    await asyncio.sleep(0.05)
    assert ended == []
