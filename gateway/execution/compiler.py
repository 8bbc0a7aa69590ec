"""From a validated operation to a plan: one small function per field, put together along the selections.

Fields are collected by graphql-core itself, so merging, fragments, @skip and @include, and the order of the answer are
its own. A selection may need other fields for each value of its conditions; so a plan is of one set of those values.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

from graphql import (
    FragmentDefinitionNode,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLString,
    OperationDefinitionNode,
    OperationType,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from graphql.execution.collect_fields import FieldDetails, FragmentDetails, collect_fields, collect_subfields
from graphql.execution.values import VariableValues
from graphql.pyutils import Path
from strawberry.types.field import StrawberryField

from gateway.execution import steps
from gateway.execution.arguments import Arguments, Operation
from gateway.execution.at_hand import AT_HAND
from gateway.execution.fragments import OF_RECORD, Fragments, Recorded
from gateway.execution.leaves import READY, leaf
from gateway.execution.plan import Complete, Plan
from gateway.execution.steps import Called, Field, NeverReady, Plain

DEFINITION = "strawberry-definition"


class NotCompiled(Exception):
    """The operation has something that plans don't do: introspection, several mutations, an extended field."""


def compile_operation(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    variables: VariableValues,
    memory: Fragments,
) -> Plan:
    """Return the plan of an operation for the conditions in `variables`; `NotCompiled` when there can be none."""
    return _Compiler(Operation(schema, operation, fragments), variables, memory).plan()


class _Compiler:
    def __init__(self, operation: Operation, variables: VariableValues, memory: Fragments) -> None:
        self._operation = operation
        self._memory = memory
        self._variables = variables
        self._fragments = {name: FragmentDetails(node) for name, node in operation.fragments.items()}
        self._arguments: list[Arguments] = []

    def plan(self) -> Plan:
        schema, node = self._operation.schema, self._operation.node
        root = schema.get_root_type(node.operation)
        if root is None:
            raise NotCompiled
        collected = collect_fields(schema, self._fragments, self._variables, root, node)
        if node.operation is OperationType.MUTATION and len(collected.grouped_field_set) > 1:
            raise NotCompiled  # they go one after the other
        fields = self._fields(root, collected.grouped_field_set, None)
        return Plan(steps.an_object(fields), tuple(self._arguments))

    def _fields(
        self, parent: GraphQLObjectType, grouped: Mapping[str, list[FieldDetails]], path: Path | None
    ) -> dict[str, Field]:
        return {key: self._field(parent, details, Path(path, key, parent.name)) for key, details in grouped.items()}

    def _field(self, parent: GraphQLObjectType, details: list[FieldDetails], path: Path) -> Field:
        nodes = [detail.node for detail in details]
        name = nodes[0].name.value
        if name == "__typename":
            return Plain(steps.always(parent.name), str, leaf(GraphQLString))
        if name.startswith("__"):
            raise NotCompiled
        field = parent.fields[name]
        complete = self._complete(field.type, details, path)
        if parent is self._operation.schema.subscription_type:
            return Called(complete)  # the source is the event
        definition = field.extensions[DEFINITION]
        if (known := definition.metadata.get(AT_HAND)) is not None and self._names(field.type, details) <= known.fields:
            return Plain(known.make, NeverReady, complete)
        return self._resolved(Arguments(self._operation, parent, nodes, field, definition, path), complete, path)

    def _names(self, kind: GraphQLOutputType, details: list[FieldDetails]) -> set[str]:
        """Return the names of the fields that are asked for of an object."""
        collected = collect_subfields(
            self._operation.schema,
            self._fragments,
            self._variables,
            self._operation.node,
            cast(GraphQLObjectType, get_named_type(kind)),
            details,
        )
        return {detail.node.name.value for group in collected.grouped_field_set.values() for detail in group}

    def _resolved(self, arguments: Arguments, complete: Complete, path: Path) -> Field:
        definition = arguments.definition
        if definition.extensions:
            raise NotCompiled
        if arguments.parent is self._operation.schema.mutation_type and not definition.is_async:
            raise NotCompiled  # only what was awaited is known to have been done, when graphql-core takes over
        ready = READY.get(get_nullable_type(arguments.core_field.type), NeverReady)
        if definition.base_resolver is None:
            return Plain(steps.attribute(definition.python_name), ready, complete)
        function = _function(definition)
        if not arguments.are_fixed:
            self._arguments.append(arguments)
            slot = len(self._arguments) - 1
            if arguments.wants_info:
                return steps.awaited(function, slot, cast(str, path.key), complete)
            return steps.called(function, slot, complete)
        kwargs = arguments.of(None)
        return Plain(steps.alike(function, kwargs) if kwargs else function, ready, complete)

    def _complete(self, kind: GraphQLOutputType, details: list[FieldDetails], path: Path) -> Complete:
        if is_non_null_type(kind):
            return self._complete_present(kind.of_type, details, path)
        return steps.nullable(self._complete_present(kind, details, path))

    def _complete_present(self, kind: Any, details: list[FieldDetails], path: Path) -> Complete:
        """Return how a value is finished that must not be null: a null is a surprise."""
        if is_leaf_type(kind):
            return leaf(kind)
        if is_list_type(kind):
            return steps.each(self._complete(kind.of_type, details, path))
        if is_object_type(kind):
            return self._object(kind, details, path)
        if is_abstract_type(kind):
            possible = self._operation.schema.get_possible_types(kind)
            return steps.one_of({_class(one): self._object(one, details, path) for one in possible})
        raise NotCompiled

    def _object(self, kind: GraphQLObjectType, details: list[FieldDetails], path: Path) -> Complete:
        collected = collect_subfields(
            self._operation.schema, self._fragments, self._variables, self._operation.node, kind, details
        )
        if issubclass(_class(kind), Recorded):
            return self._recorded(kind, collected.grouped_field_set, path)
        return steps.an_object(self._fields(kind, collected.grouped_field_set, path), _class(kind))

    def _recorded(self, kind: GraphQLObjectType, grouped: Mapping[str, list[FieldDetails]], path: Path) -> Complete:
        """Return how an object is finished part of which is remembered by the bytes of its record."""
        fields, kept, slots = {}, [], list[int]()
        for key, details in grouped.items():
            first = len(self._arguments)
            fields[key] = self._field(kind, details, Path(path, key, kind.name))
            below = range(first, len(self._arguments))
            # Whoever asks for Info may see more than the record.
            if _is_of_record(kind, details) and not any(self._arguments[slot].wants_info for slot in below):
                kept.append(key)
                slots += below
        if not kept:
            return steps.an_object(fields, _class(kind))
        return steps.remembered(_class(kind), fields, frozenset(kept), tuple(slots), self._memory)


def _is_of_record(kind: GraphQLObjectType, details: list[FieldDetails]) -> bool:
    name = details[0].node.name.value
    return name == "__typename" or OF_RECORD.items() <= kind.fields[name].extensions[DEFINITION].metadata.items()


def _class(kind: GraphQLObjectType) -> type:
    """Return the class whose objects are of a type."""
    found: type = kind.extensions[DEFINITION].origin
    return found


def _function(definition: StrawberryField) -> Callable[..., Any]:
    """Return a resolver as it is written: a method of the parent, or a function of its class."""
    resolver = definition.base_resolver
    if resolver is None or not resolver.self_parameter or resolver.parent_parameter or resolver.root_parameter:
        raise NotCompiled
    return cast(Callable[..., Any], resolver.wrapped_func)
