"""Cancellations that libraries take."""

import asyncio

import pytest

from mesh import cancellation


async def test_a_task_that_loses_a_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancellation, "AGAIN_SECONDS", 0.01)
    lost = 0

    async def deaf() -> None:
        nonlocal lost
        while lost < 3:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                lost += 1
        await asyncio.Event().wait()

    async def failing() -> None:
        raise RuntimeError

    tasks = [asyncio.create_task(deaf()), asyncio.create_task(failing())]
    await asyncio.sleep(0)
    await cancellation.end(tasks)
    assert lost == 3
    assert all(task.done() for task in tasks)


async def test_a_lost_cancellation_is_raised_where_it_is_asked_for() -> None:
    async def loses_it() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancellation.raise_if_cancelled()

    task = asyncio.create_task(loses_it())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
