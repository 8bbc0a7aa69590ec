"""The steps that plans are put together from: how a field gets its value, and how a value is finished.

Each is a function that returns a small function. A page takes hundreds of them, so the ordinary ones do their work in
one frame: a call costs more than most of what is done in it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Protocol

from gateway.execution.fragments import Fragments, Recorded, written
from gateway.execution.plan import Complete, Place, Run, Surprise

Get = Callable[[Any], Any]
Resolve = Callable[[Any, Run], Any]
"""Turns an object into what stands in the answer for one of its fields; a `Place` for what is still awaited."""


class CompleteObject(Protocol):
    """Turns an object into its fields, in a new answer or beside what one holds already."""

    def __call__(self, value: Any, run: Run, answer: dict[str, Any] | None = None, /) -> dict[str, Any]:
        """Return the answer."""


# How a field gets its value


class NeverReady:
    """The type of no value: all have to be finished."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A field whose value is a function of its parent: what `get` returns, as it is or finished."""

    get: Get
    ready: type
    """The type whose values are JSON as they are."""
    complete: Complete

    def resolve(self, source: Any, run: Run) -> Any:
        """Return what stands in the answer."""
        value = self.get(source)
        return value if type(value) is self.ready else self.complete(value, run)


@dataclass(frozen=True, slots=True)
class Called:
    """A field that takes more than its parent: arguments of the execution, or a service that is awaited."""

    resolve: Resolve


Field = Plain | Called


def always(value: Any) -> Get:
    """One value for all parents."""
    return lambda _source: value


def attribute(name: str) -> Get:
    """An attribute of the parent."""
    return attrgetter(name)


def alike(function: Callable[..., Any], kwargs: dict[str, Any]) -> Get:
    """A call with the same arguments in every execution."""
    return lambda source: function(source, **kwargs)


def called(function: Callable[..., Any], slot: int, complete: Complete) -> Called:
    """A call with arguments of this execution."""
    return Called(lambda source, run: complete(function(source, **run.kwargs(slot)), run))


def awaited(function: Callable[..., Any], slot: int, key: str, complete: Complete) -> Called:
    """A call that may have to be awaited."""

    def resolve(source: Any, run: Run) -> Any:
        value = function(source, **run.kwargs(slot))
        return run.await_at(key, value, complete) if hasattr(value, "__await__") else complete(value, run)

    return Called(resolve)


# How a value is finished


def nullable(complete: Complete) -> Complete:
    """A value that may be absent."""
    return lambda value, run: None if value is None else complete(value, run)


def each(complete: Complete) -> Complete:
    """A list."""

    def complete_list(value: Any, run: Run) -> Any:
        if type(value) is not list:
            raise Surprise
        return [complete(item, run) for item in value]

    return complete_list


def an_object(fields: Mapping[str, Field], expected: type | None = None) -> CompleteObject:
    """The fields of an object, in this order; of one that is of a class, if one is expected."""
    plain = tuple((key, one.get, one.ready, one.complete) for key, one in fields.items() if isinstance(one, Plain))
    if len(plain) < len(fields):
        return _mixed(fields, expected)

    def complete_object(value: Any, run: Run, answer: dict[str, Any] | None = None) -> dict[str, Any]:
        if type(value) is not expected and expected is not None:
            raise Surprise
        if answer is None:
            answer = {}
        for key, get, ready, complete in plain:
            found = get(value)
            answer[key] = found if type(found) is ready else complete(found, run)
        return answer

    return complete_object


def _mixed(fields: Mapping[str, Field], expected: type | None) -> CompleteObject:
    """As `an_object`, for fields of both kinds; tells the gaps in the answer where they are."""
    resolvers = tuple((key, field.resolve) for key, field in fields.items())

    def complete_object(value: Any, run: Run, answer: dict[str, Any] | None = None) -> dict[str, Any]:
        if type(value) is not expected and expected is not None:
            raise Surprise
        if answer is None:
            answer = {}
        for key, resolve in resolvers:
            answer[key] = place = resolve(value, run)
            if type(place) is Place:
                place.target = answer
        return answer

    return complete_object


def remembered(
    expected: type[Recorded],
    fields: Mapping[str, Field],
    kept: frozenset[str],
    slots: tuple[int, ...],
    memory: Fragments,
) -> Complete:
    """An object whose fields `kept` are remembered by the bytes of its record; `slots` are their arguments."""
    selection = object()  # one selection's answers are not another's
    record_of = expected.record_of
    whole = an_object(fields)
    of_record = an_object({key: field for key, field in fields.items() if key in kept})
    others = {key: field for key, field in fields.items() if key not in kept}
    add_others = an_object(others)

    def complete(value: Any, run: Run) -> Any:
        if type(value) is not expected:
            raise Surprise
        if type(record := record_of(value)) is not bytes:
            return whole(value, run)
        shelf = run.shelves.get(selection) or run.shelf(memory, selection, slots)
        if (known := shelf.young.get(record)) is None:
            known = shelf.older(record) or shelf.put(record, written(fields, of_record(value, run)))
        return add_others(value, run, known.text.copy()) if others else known.text

    return complete


def one_of(completes: Mapping[type, Complete]) -> Complete:
    """An object of one of several classes."""

    def complete(value: Any, run: Run) -> Any:
        if (known := completes.get(type(value))) is None:
            raise Surprise
        return known(value, run)

    return complete
