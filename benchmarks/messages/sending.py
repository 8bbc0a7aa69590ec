"""Messages at a rate, and when each was to be sent."""

from collections.abc import Awaitable, Callable

from benchmarks.load import Outcome, open_loop

Send = Callable[[int], Awaitable[str]]
"""Sends the message of a number; returns its id."""


async def send_at(per_s: float, send: Send, *, seconds: float) -> tuple[Outcome, dict[str, float]]:
    """Send messages in an open loop; return what became of the calls, and by id when each message was to be sent."""
    sent: dict[str, int] = {}
    intended: dict[int, float] = {}

    async def noted(number: int) -> None:
        sent[await send(number)] = number

    outcome = await open_loop(noted, per_s=per_s, seconds=seconds, intended=intended)
    return outcome, {message_id: intended[number] for message_id, number in sent.items()}
