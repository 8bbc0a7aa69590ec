"""A cancellation that a library took.

`asyncio.wait_for` of Python 3.11, on which nats-py and psycopg wait, loses a cancellation that arrives together
with the answer (https://github.com/python/cpython/issues/86296): the task would go on for ever. Who calls them asks
here afterwards.
"""

import asyncio


def raise_if_cancelled() -> None:
    """Raise `CancelledError` when the current task was asked to end and goes on all the same."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
