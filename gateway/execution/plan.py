"""A compiled operation, and one execution of it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from graphql.execution.values import VariableValues

from gateway.context import Context
from gateway.execution.arguments import NO_VARIABLES, Arguments
from gateway.execution.fragments import Fragments, Shelf

Complete = Callable[[Any, "Run"], Any]
"""Turns a resolved value into what stands in the answer; `Surprise` for one that it does not expect."""


class Surprise(Exception):
    """A value that a plan does not expect: graphql-core knows what to answer."""


@dataclass(slots=True, eq=False)
class Place:
    """Where the answer has a gap until something arrives."""

    key: str
    arriving: Awaitable[Any]
    complete: Complete
    target: dict[str, Any] | None = None

    def abandon(self) -> None:
        """Await it no more."""
        if isinstance(self.arriving, Coroutine):
            self.arriving.close()


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A compiled operation."""

    fields: Complete
    """Of the root."""
    arguments: tuple[Arguments, ...]
    """Of the resolvers whose arguments differ from request to request."""

    async def run(self, context: Context, variables: VariableValues, root: Any = None) -> Any:
        """Return the `data` of the answer; whatever is raised means that graphql-core must answer."""
        run = Run(context, variables, self.arguments)
        data, places = run.walk(self.fields, root)
        if places:
            await run.arrive_all(places, of=data)
        return data

    def at_once(self, context: Context, root: Any) -> Any:
        """Return the `data` of an answer that nothing has to be awaited for."""
        return Run(context, NO_VARIABLES, self.arguments).walk(self.fields, root)[0]


class Run:
    """One execution of a plan: walk as far as one can, await what is missing, walk on from there."""

    __slots__ = ("_arguments", "_kwargs", "_places", "context", "shelves", "variables")

    def __init__(self, context: Context, variables: VariableValues, arguments: Sequence[Arguments]) -> None:
        self.context = context
        self.variables = variables
        self._arguments = arguments
        self._kwargs: list[dict[str, Any] | None] = [None] * len(arguments)
        self._places: list[Place] = []
        self.shelves: dict[object, Shelf] = {}

    def kwargs(self, slot: int) -> dict[str, Any]:
        """Return what a resolver is called with; found out once per execution."""
        if (known := self._kwargs[slot]) is None:
            known = self._kwargs[slot] = self._arguments[slot].of(self.context, self.variables)
        return known

    def shelf(self, memory: Fragments, selection: object, slots: Sequence[int]) -> Shelf:
        """Return where answers of a selection are remembered, for its arguments in this execution."""
        found = memory.shelf((selection, *(tuple(self.kwargs(slot).values()) for slot in slots)))
        self.shelves[selection] = found
        return found

    def await_at(self, key: str, arriving: Awaitable[Any], complete: Complete) -> Place:
        """Note that the answer has a gap."""
        place = Place(key, arriving, complete)
        self._places.append(place)
        return place

    def walk(self, complete: Complete, value: Any) -> tuple[Any, list[Place]]:
        """Return the answer for a value and the gaps in it. No `await` in here: `_places` is of this walk alone."""
        places = self._places = []
        try:
            return complete(value, self), places
        except BaseException:
            for place in places:
                place.abandon()
            raise

    async def arrive_all(self, places: list[Place], *, of: object = None) -> None:
        """Fill gaps at the same time, so that loaders see all of their keys at once. Ends when all have ended.

        What root fields come to, those of the object `of`, is kept for whoever takes over.
        """
        *others, last = (self._arrive(place, is_root=place.target is of) for place in places)
        if not others:
            return await last
        beside = [asyncio.create_task(one) for one in others]
        try:
            await last
            for one in beside:
                await one
        except Exception:
            await asyncio.gather(*beside, return_exceptions=True)
            raise
        except BaseException:
            asyncio.gather(*beside, return_exceptions=True).cancel()
            raise

    async def _arrive(self, place: Place, *, is_root: bool) -> None:
        arriving = self.context.fetched.keep(place.key, place.arriving) if is_root else place.arriving
        value, below = self.walk(place.complete, await arriving)
        if place.target is None:
            raise Surprise
        place.target[place.key] = value
        if below:
            await self.arrive_all(below)
