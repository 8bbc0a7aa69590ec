"""Scalars and enums. The usual Python value of a built-in scalar is its JSON; graphql-core converts the rest."""

from math import isfinite
from typing import Any

from graphql import (
    GraphQLBoolean,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLString,
    Undefined,
)

from gateway.execution.plan import Complete, Run, Surprise

READY: dict[object, type] = {GraphQLString: str, GraphQLID: str, GraphQLBoolean: bool}
"""Scalars whose values of one Python type are JSON as they are."""
MIN_INT, MAX_INT = -(2**31), 2**31 - 1


def leaf(kind: GraphQLLeafType) -> Complete:
    """Return how a value of a scalar or enum is finished."""
    match kind:
        case kind if kind is GraphQLString or kind is GraphQLID:
            return _text
        case kind if kind is GraphQLInt:
            return _integer
        case kind if kind is GraphQLBoolean:
            return _boolean
        case kind if kind is GraphQLFloat:
            return _number
    return _converted(kind)


def _text(value: Any, _run: Run) -> Any:
    if type(value) is str:
        return value
    raise Surprise


def _integer(value: Any, _run: Run) -> Any:
    if type(value) is int and MIN_INT <= value <= MAX_INT:
        return value
    raise Surprise


def _boolean(value: Any, _run: Run) -> Any:
    if type(value) is bool:
        return value
    raise Surprise


def _number(value: Any, _run: Run) -> Any:
    if type(value) is float and isfinite(value):
        return value
    raise Surprise


def _converted(kind: GraphQLLeafType) -> Complete:
    convert = kind.coerce_output_value

    def complete(value: Any, _run: Run) -> Any:
        if value is None or isinstance(value, Exception):
            raise Surprise
        converted = convert(value)
        if converted is None or converted is Undefined:
            raise Surprise
        return converted

    return complete
