"""What a resolver is called with: converted as Strawberry does it, once per execution or, without variables, once."""

from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import strawberry
from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    OperationDefinitionNode,
    VariableNode,
)
from graphql.execution.values import VariableValues, get_argument_values
from graphql.pyutils import Path
from strawberry.schema import Schema
from strawberry.types.arguments import convert_arguments
from strawberry.types.field import StrawberryField

from gateway.context import Context
from gateway.execution.inputs import ConvertAll, converter

KEPT_CONVERSIONS = 32
"""Of one field of a document."""
NO_VARIABLES = VariableValues({}, {})
NO_HELPERS: Any = None
"""For asynchronous work beside an execution; no resolver here has any."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What is the same for all fields of an operation."""

    schema: GraphQLSchema
    node: OperationDefinitionNode
    fragments: Mapping[str, FragmentDefinitionNode]

    @property
    def strawberry_schema(self) -> Schema:
        """Return Strawberry's view of the schema, which converts arguments."""
        found: Schema = self.schema._strawberry_schema  # type: ignore[attr-defined]
        return found


@dataclass(slots=True)
class Arguments:
    """The arguments of one field of an operation."""

    operation: Operation
    parent: GraphQLObjectType
    nodes: list[FieldNode]
    core_field: GraphQLField
    definition: StrawberryField
    path: Path
    _variables: tuple[str, ...] = ()
    _info_name: str = ""
    _known: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)
    _quickly: ConvertAll | None = None
    """What makes them of graphql-core's; `None`: Strawberry."""

    def __post_init__(self) -> None:
        self._variables = tuple(name for one in self.nodes[0].arguments or () for name in _variables_in(one.value))
        self._quickly = converter(self.operation.strawberry_schema, self.definition.arguments)
        resolver = self.definition.base_resolver
        if resolver is not None and resolver.info_parameter is not None:
            self._info_name = resolver.info_parameter.name

    @property
    def are_fixed(self) -> bool:
        """Whether they are the same in each execution."""
        return not self.wants_info and not self._variables

    @property
    def wants_info(self) -> bool:
        """Whether the resolver asks for `Info`: only by it can it reach a service or learn who asks."""
        return bool(self._info_name)

    def of(self, context: Context | None, variables: VariableValues = NO_VARIABLES) -> dict[str, Any]:
        """Return them; graphql-core's or Strawberry's error when one can't be converted."""
        kwargs = self._converted(variables) if self.core_field.args else {}
        if context is not None and self._info_name:
            return {**kwargs, self._info_name: self._info(context, variables)}
        return kwargs

    def _converted(self, variables: VariableValues) -> dict[str, Any]:
        values = tuple(variables.coerced.get(name) for name in self._variables)
        if not all(type(value) is int or value is True or value is False for value in values):
            return self._convert(variables)
        # Page sizes and widths of photos: few values, asked for again and again.
        if (known := self._known.get(values)) is None:
            known = self._convert(variables)
            if len(self._known) < KEPT_CONVERSIONS:
                self._known[values] = known
        return known

    def _convert(self, variables: VariableValues) -> dict[str, Any]:
        values = get_argument_values(self.core_field, self.nodes[0], variables)
        if self._quickly is not None:
            return self._quickly(values)
        schema = self.operation.strawberry_schema
        return convert_arguments(
            values,
            self.definition.arguments,
            scalar_registry=schema.schema_converter.scalar_registry,
            config=schema.config,
        )

    def _info(self, context: Context, variables: VariableValues) -> strawberry.Info[Context, None]:
        """Return what Strawberry would hand over, but for the path: it has no indexes of lists."""
        raw = GraphQLResolveInfo(
            self.nodes[0].name.value,
            self.nodes,
            self.core_field.type,
            self.parent,
            self.path,
            self.operation.schema,
            dict(self.operation.fragments),
            None,
            self.operation.node,
            variables,
            context,
            _is_awaitable,
            None,
            NO_HELPERS,
        )
        return strawberry.Info(_raw_info=raw, _field=self.definition)


def _is_awaitable(value: Any) -> TypeGuard[Awaitable[Any]]:
    return hasattr(value, "__await__")


def _variables_in(node: Any) -> Iterator[str]:
    if isinstance(node, VariableNode):
        yield node.name.value
    for part in (*getattr(node, "values", ()), *(one.value for one in getattr(node, "fields", ()))):
        yield from _variables_in(part)
