"""A cancellation that a library took.

`asyncio.wait_for` of Python 3.11, on which nats-py and psycopg wait, loses a cancellation that arrives together
with the answer (https://github.com/python/cpython/issues/86296): the task would go on for ever. Who calls them asks
here afterwards.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_SECONDS = 1.0


def raise_if_cancelled() -> None:
    """Raise `CancelledError` when the current task was asked to end and goes on all the same."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait for their end, whatever that is; again each second, should a cancellation be lost."""
    tasks = list(tasks)
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=AGAIN_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)
