"""What is heard goes at once to whoever waits for it, its JSON made once for all devices of a person.

The long way of an event is a queue, a generator, graphql-core and a task for each device. The short way is a plan that
awaits nothing, called where the event is heard. It is taken by a device that has nothing else to be sent before.
"""

from collections.abc import Callable, Hashable
from typing import Any

import orjson
from prometheus_client import Counter

from gateway.context import Context
from gateway.execution.plan import Plan
from gateway.execution.plans import by_plan

Write = Callable[[bytes], bool]
"""Sends an answer without waiting; `False` when it can't be sent now."""

_pushed = Counter("gateway_events_pushed", "Events that went to a socket the short way")


class Push:
    """The short way to one device."""

    __slots__ = ("_answers", "_context", "_plan", "_write")

    def __init__(self, plan: Plan, context: Context, write: Write, answers: dict[Hashable, bytes]) -> None:
        """`answers` are those that were made for other devices while the same event is being told."""
        self._plan = plan
        self._context = context
        self._write = write
        self._answers = answers

    def __call__(self, event: Hashable, make: Callable[[], Any]) -> bool:
        """Send an event, which `make` returns as the schema knows it; `False`: it must go the long way."""
        key = (self._plan, self._context.viewer_id, event)
        if (answer := self._answers.get(key)) is None:
            if (answer := self._made(make)) is None:
                return False
            self._answers[key] = answer
        if not self._write(answer):
            return False
        _pushed.inc()
        by_plan.inc()
        return True

    def _made(self, make: Callable[[], Any]) -> bytes | None:
        try:
            return orjson.dumps({"data": self._plan.at_once(self._context, make())})
        except Exception:  # graphql-core meets it again, the long way
            return None
