"""The steps that plans are put together from: how a field gets its value, and how a value is finished.

Each is a function that returns a small function. A page takes hundreds of them, so the ordinary ones do their work in
one frame.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from gateway.execution.fragments import Fragments, Recorded
from gateway.execution.plan import Complete, Fields, Resolve, Run, Surprise

Get = Callable[[Any], Any]

# How a field gets its value


def always(value: Any) -> Resolve:
    """One value for all parents."""
    return lambda _source, _run: value


def attribute(name: str) -> Get:
    """An attribute of the parent."""
    return attrgetter(name)


def alike(function: Callable[..., Any], kwargs: dict[str, Any]) -> Get:
    """A call with the same arguments in every execution."""
    return lambda source: function(source, **kwargs)


def plain(get: Get, complete: Complete) -> Resolve:
    """What `get` returns, finished."""
    return lambda source, run: complete(get(source), run)


def ready(get: Get, expected: type, *, is_nullable: bool) -> Resolve:
    """What `get` returns, if it is of the type whose values are JSON already."""

    def resolve_nullable(source: Any, _run: Run) -> Any:
        value = get(source)
        if value is None or type(value) is expected:
            return value
        raise Surprise

    def resolve(source: Any, _run: Run) -> Any:
        value = get(source)
        if type(value) is expected:
            return value
        raise Surprise

    return resolve_nullable if is_nullable else resolve


def called(function: Callable[..., Any], slot: int, complete: Complete) -> Resolve:
    """A call with arguments of this execution."""
    return lambda source, run: complete(function(source, **run.kwargs(slot)), run)


def awaited(function: Callable[..., Any], slot: int, key: str, complete: Complete) -> Resolve:
    """A call that may have to be awaited."""

    def resolve(source: Any, run: Run) -> Any:
        value = function(source, **run.kwargs(slot))
        return run.await_at(key, value, complete) if hasattr(value, "__await__") else complete(value, run)

    return resolve


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


def an_object(expected: type, fields: Fields) -> Complete:
    """An object of a class."""
    resolvers = fields.resolvers

    def complete(value: Any, run: Run) -> Any:
        if type(value) is not expected:
            raise Surprise
        finished = {key: resolve(value, run) for key, resolve in resolvers}
        return fields.placed(finished) if fields.awaited else finished

    return complete


def remembered(
    expected: type[Recorded],
    kept: Fields,
    others: Fields,
    slots: tuple[int, ...],
    order: tuple[str, ...],
    memory: Fragments,
) -> Complete:
    """An object part of which is remembered by the bytes of its record."""
    selection = object()  # one selection's answers are not another's

    def complete(value: Any, run: Run) -> Any:
        if type(value) is not expected:
            raise Surprise
        if (record := value.record_bytes()) is None:
            answers = kept.of(value, run)
            finished = {key: answers.get(key) for key in order}
        else:
            key = (run.mark(selection, slots), record)
            if (known := memory.get(key)) is None:
                answers = kept.of(value, run)
                known = memory.put(key, record, {key: answers.get(key) for key in order})
            finished = known.copy()
        for name, resolve in others.resolvers:
            finished[name] = resolve(value, run)
        return others.placed(finished) if others.awaited else finished

    return complete


def one_of(completes: Mapping[type, Complete]) -> Complete:
    """An object of one of several classes."""

    def complete(value: Any, run: Run) -> Any:
        if (known := completes.get(type(value))) is None:
            raise Surprise
        return known(value, run)

    return complete
