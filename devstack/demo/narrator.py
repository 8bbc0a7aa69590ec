"""Tells the story: a line for each step, with the time that it took. A step that doesn't hold ends the story."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.02
INDENT = "           "


class StepFailed(Exception):
    """Something is not as it has to be."""


class Step:
    """One step; the clock runs from the start of the block to its end, or to `done`."""

    def __init__(self, narrator: "Narrator", sentence: str) -> None:
        self._narrator = narrator
        self._sentence = sentence
        self._began = 0.0
        self._took: float | None = None

    def __enter__(self) -> Self:
        """Start the clock."""
        self._began = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the clock and tell the line, with what went wrong if something did."""
        self.done()
        if error is None:
            self._narrator.tell(self._sentence, self._took)
        else:
            self._narrator.fail(self._sentence, error)

    def done(self) -> None:
        """Stop the clock here: what follows in the block only checks."""
        if self._took is None:
            self._took = (time.perf_counter() - self._began) * 1000

    def check(self, holds: object, what: str) -> None:
        """Check something; `what` is the sentence that must be true."""
        self._narrator.checks += 1
        if not holds:
            raise StepFailed(f"this does not hold: {what}")

    def equal(self, actual: object, expected: object, what: str) -> None:
        """Check that two values are the same."""
        self.check(actual == expected, f"{what} (is {actual!r}, must be {expected!r})")


class Narrator:
    """Prints the story and counts its checks."""

    def __init__(self) -> None:
        self.checks = 0
        self.steps = 0

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        print(f"\n{title}", flush=True)

    def step(self, sentence: str) -> Step:
        """Return a step, to be entered."""
        return Step(self, sentence)

    def tell(self, sentence: str, milliseconds: float | None = None) -> None:
        """Print a line."""
        self.steps += milliseconds is not None
        print(f"{INDENT if milliseconds is None else f'{milliseconds:7.0f} ms '} {sentence}", flush=True)

    def fail(self, sentence: str, error: BaseException) -> None:
        """Print a line of something that went wrong."""
        print(f"    FAILED  {sentence}\n{INDENT} {type(error).__name__}: {error}", flush=True)


async def until(ask: Callable[[], Awaitable[T]], holds: Callable[[T], Any], *, within: float, what: str) -> T:
    """Ask again and again until the answer holds, and return it; `StepFailed` when time runs out."""
    deadline = time.monotonic() + within
    while True:
        answer = await ask()
        if holds(answer):
            return answer
        if time.monotonic() > deadline:
            raise StepFailed(f"within {within:g} s this did not come true: {what}; the last answer was {answer!r}")
        await asyncio.sleep(POLL_SECONDS)
