"""What a resolver is called with: converted as Strawberry does it, once per execution or, without variables, once."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of one field of an operation."""

    operation: Operation
    parent: GraphQLObjectType
    nodes: list[FieldNode]
    field: GraphQLField
    definition: StrawberryField
    path: Path

    @property
    def are_fixed(self) -> bool:
        """Whether they are the same in each execution."""
        return not self.wants_info and not self.have_variables

    @property
    def have_variables(self) -> bool:
        """Whether a variable stands in them."""
        return any(_has_variable(argument.value) for argument in self.nodes[0].arguments or ())

    @property
    def wants_info(self) -> bool:
        """Whether the resolver asks for `Info`: only by it can it reach a service or learn who asks."""
        resolver = self.definition.base_resolver
        return resolver is not None and resolver.info_parameter is not None

    def of(self, context: Context | None, variables: VariableValues = NO_VARIABLES) -> dict[str, Any]:
        """Return them; graphql-core's or Strawberry's error when one can't be converted."""
        kwargs: dict[str, Any] = {}
        if self.field.args:
            schema = self.operation.strawberry_schema
            kwargs = convert_arguments(
                get_argument_values(self.field, self.nodes[0], variables),
                self.definition.arguments,
                scalar_registry=schema.schema_converter.scalar_registry,
                config=schema.config,
            )
        resolver = self.definition.base_resolver
        if resolver is not None and resolver.info_parameter is not None and context is not None:
            kwargs[resolver.info_parameter.name] = self._info(context, variables)
        return kwargs

    def _info(self, context: Context, variables: VariableValues) -> strawberry.Info[Context, None]:
        """Return what Strawberry would hand over, but for the path: it has no indexes of lists."""
        raw = GraphQLResolveInfo(
            self.nodes[0].name.value,
            self.nodes,
            self.field.type,
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


def _has_variable(node: Any) -> bool:
    if isinstance(node, VariableNode):
        return True
    parts = [*getattr(node, "values", ()), *(field.value for field in getattr(node, "fields", ()))]
    return any(_has_variable(part) for part in parts)
