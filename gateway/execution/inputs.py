"""Input objects as Strawberry makes them, by functions that are made once.

Strawberry resolves the annotation of each field and derives its name anew for every request, which takes longer than
all the rest of a mutation. It converts whatever is not known here.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING
from typing import Any

import strawberry
from strawberry.schema import Schema
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import StrawberryMaybe, StrawberryOptional, has_object_definition
from strawberry.types.enum import StrawberryEnumDefinition
from strawberry.types.unset import UNSET

Convert = Callable[[Any], Any]
ConvertAll = Callable[[Mapping[str, Any]], dict[str, Any]]

LEAVES = (str, int, bool, strawberry.ID)
"""Types whose values are passed on as graphql-core hands them over."""


class NotKnown(Exception):
    """A type that Strawberry has to convert."""


def converter(schema: Schema, arguments: list[StrawberryArgument]) -> ConvertAll | None:
    """Return what makes a resolver's arguments of graphql-core's; `None` when Strawberry must."""
    try:
        known = [(_name_of(schema, one), one.python_name, _convert(schema, one.type)) for one in arguments]
    except NotKnown:
        return None

    def convert_all(given: Mapping[str, Any]) -> dict[str, Any]:
        return {python_name: convert(given[name]) for name, python_name, convert in known if name in given}

    return convert_all


def _name_of(schema: Schema, argument: StrawberryArgument) -> str:
    return schema.config.name_converter.from_argument(argument)


def _convert(schema: Schema, kind: Any) -> Convert:
    if isinstance(kind, StrawberryOptional) and not isinstance(kind, StrawberryMaybe):
        return _convert(schema, kind.of_type)  # a null is passed on in any case
    if any(kind is leaf for leaf in LEAVES) or isinstance(kind, StrawberryEnumDefinition):
        return _as_it_is
    if has_object_definition(kind):
        return _object(schema, kind)
    raise NotKnown


def _as_it_is(value: Any) -> Any:
    return value


def _object(schema: Schema, kind: Any) -> Convert:
    definition = kind.__strawberry_definition__
    if not definition.is_input or definition.from_input is not None:
        raise NotKnown
    nulls = {
        field.python_name: None
        for field in definition.fields
        if field.default_value is MISSING and field.default_factory is MISSING
    }
    fields = [
        (
            schema.config.name_converter.from_field(field),
            field.python_name,
            _convert(schema, field.resolve_type(type_definition=definition)),
        )
        for field in definition.fields
    ]

    def convert(value: Any) -> Any:
        if value is None or value is UNSET:
            return value
        given = nulls.copy()
        for name, python_name, convert_field in fields:
            if name in value:
                given[python_name] = convert_field(value[name])
        return kind(**given)

    return convert
