"""Subscriptions whose messages are handed over where they are read from the connection.

nats-py gives each subscription a queue and a task. That is a turn of the event loop for each message, and some 4 KiB:
too much for a gateway, which has two subscriptions for each of thousands of idle people.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from mesh.telemetry import get_logger

_log = get_logger(__name__)


async def subscribe(client: Client, subject: str, take: Callable[[Msg], object], *, queue: str = "") -> Subscription:
    """Call `take`, which must not wait, for every message of a subject, in order."""
    subscription = await client.subscribe(
        subject, queue=queue, future=cast("asyncio.Future[Any]", _Taker(subject, take))
    )
    subscription._pending_queue = cast(Any, None)
    return subscription


class _Taker:
    """Stands where nats-py keeps the future of a single answer, and takes all of them."""

    __slots__ = ("_subject", "_take")

    def __init__(self, subject: str, take: Callable[[Msg], object]) -> None:
        self._subject = subject
        self._take = take

    def cancelled(self) -> bool:
        """Whether it takes no more; it always does."""
        return False

    def set_result(self, message: Msg) -> None:
        """Hand a message over; what goes wrong there must not end the connection."""
        try:
            self._take(message)
        except Exception:
            _log.exception("notice_failed", subject=self._subject)
