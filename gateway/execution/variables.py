"""The variables of an operation, read by functions that are made once.

graphql-core looks up each type, and each field of an input, for every request anew. Here a reader takes just what apps
send: objects of texts, whole numbers and truth values, each of the very type that is asked for. Whatever else there is
is `Unusual`, and graphql-core reads it, or says what is wrong with it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from graphql import (
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInt,
    GraphQLSchema,
    OperationDefinitionNode,
    Undefined,
    is_non_null_type,
    is_required_input_field,
)
from graphql.execution.get_variable_signature import get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource
from graphql.utilities.coerce_input_value import coerce_default_value

from gateway.execution.leaves import MAX_INT, MIN_INT, READY

Coerce = Callable[[Any], Any]
Read = Callable[[Mapping[str, Any]], VariableValues]
"""Returns the variables as their types want them; `Unusual` when that is not plain to see."""


class Unusual(Exception):
    """A type that readers don't know, or a value that they don't take."""


def reader(schema: GraphQLSchema, operation: OperationDefinitionNode) -> Read | None:
    """Return how the variables of an operation are read; `None` when one has a type that is not known here."""
    try:
        known = [_variable(schema, definition) for definition in operation.variable_definitions or ()]
    except Unusual:
        return None

    def read(given: Mapping[str, Any]) -> VariableValues:
        sources, coerced = {}, {}
        for name, signature, coerce, may_be_absent in known:
            value = given.get(name, Undefined)
            if value is not Undefined:
                sources[name] = VariableValueSource(signature, value)
                coerced[name] = coerce(value)
            elif may_be_absent:
                sources[name] = VariableValueSource(signature)
            else:
                raise Unusual
        return VariableValues(sources, coerced)

    return read


def _variable(schema: GraphQLSchema, definition: Any) -> tuple[str, Any, Coerce, bool]:
    signature: Any = get_variable_signature(schema, definition)
    may_be_absent = definition.default_value is None and not is_non_null_type(signature.type)
    return signature.name, signature, _coerce(signature.type), may_be_absent


def _coerce(kind: GraphQLInputType) -> Coerce:
    if is_non_null_type(kind):
        return _coerce_present(kind.of_type)
    present = _coerce_present(kind)
    return lambda value: None if value is None else present(value)


def _coerce_present(kind: Any) -> Coerce:
    if (expected := READY.get(kind)) is not None:
        return _of_type(expected)
    if kind is GraphQLInt:
        return _integer
    if isinstance(kind, GraphQLInputObjectType) and not kind.is_one_of:
        return _object(kind)
    raise Unusual


def _of_type(expected: type) -> Coerce:
    def coerce(value: Any) -> Any:
        if type(value) is expected:
            return value
        raise Unusual

    return coerce


def _integer(value: Any) -> Any:
    if type(value) is int and MIN_INT <= value <= MAX_INT:
        return value
    raise Unusual


def _object(kind: GraphQLInputObjectType) -> Coerce:
    if kind.out_type is not GraphQLInputObjectType.out_type:
        raise Unusual
    fields = []
    for name, field in kind.fields.items():
        default = coerce_default_value(field)
        if not isinstance(default, str | int | None) and default is not Undefined:
            raise Unusual  # what can be changed must not be shared
        fields.append((name, field.out_name or name, _coerce(field.type), is_required_input_field(field), default))

    def coerce(value: Any) -> Any:
        if type(value) is not dict:
            raise Unusual
        coerced, left = {}, len(value)
        for name, out_name, coerce_field, is_required, default in fields:
            if name in value:
                coerced[out_name] = coerce_field(value[name])
                left -= 1
            elif is_required:
                raise Unusual
            elif default is not Undefined:
                coerced[out_name] = default
        if left:
            raise Unusual
        return coerced

    return coerce
