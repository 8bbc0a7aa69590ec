"""From a validated operation to a plan: one small function per field, put together along the selections.

Fields are collected by graphql-core itself, so merging, fragments, @skip and @include, and the order of the answer are
its own. A selection may need other fields for each value of its conditions; so a plan is of one set of those values.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, cast

from graphql import (
    FragmentDefinitionNode,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
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

from gateway.execution.arguments import Arguments, Operation
from gateway.execution.fragments import OF_RECORD, Fragments, Recorded
from gateway.execution.leaves import leaf
from gateway.execution.plan import Complete, Fields, Plan, Resolve, Run, Surprise

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


@dataclass(frozen=True, slots=True)
class _Field:
    """A compiled field."""

    resolve: Resolve
    is_awaited: bool


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
        return Plan(fields, tuple(self._arguments))

    def _fields(
        self, parent: GraphQLObjectType, grouped: Mapping[str, list[FieldDetails]], path: Path | None
    ) -> Fields:
        compiled = {key: self._field(parent, details, Path(path, key, parent.name)) for key, details in grouped.items()}
        return _together(compiled)

    def _field(self, parent: GraphQLObjectType, details: list[FieldDetails], path: Path) -> _Field:
        nodes = [detail.node for detail in details]
        name = nodes[0].name.value
        if name == "__typename":
            return _Field(_always(parent.name), is_awaited=False)
        if name.startswith("__"):
            raise NotCompiled
        field = parent.fields[name]
        complete = self._complete(field.type, details, path)
        if parent is self._operation.schema.subscription_type:
            return _Field(complete, is_awaited=False)  # the source is the event
        definition = field.extensions[DEFINITION]
        return self._resolved(Arguments(self._operation, parent, nodes, field, definition, path), complete, path)

    def _resolved(self, arguments: Arguments, complete: Complete, path: Path) -> _Field:
        definition = arguments.definition
        if definition.extensions:
            raise NotCompiled
        if definition.base_resolver is None:
            return _Field(_attribute(definition.python_name, complete), is_awaited=False)
        function = _function(definition)
        if not arguments.are_fixed:
            self._arguments.append(arguments)
            slot = len(self._arguments) - 1
            if arguments.wants_info:
                return _Field(_awaited(function, slot, cast(str, path.key), complete), is_awaited=True)
            return _Field(_called(function, slot, complete), is_awaited=False)
        if kwargs := arguments.of(None):
            return _Field(_called_alike(function, kwargs, complete), is_awaited=False)
        return _Field(_asked(function, complete), is_awaited=False)

    def _complete(self, kind: GraphQLOutputType, details: list[FieldDetails], path: Path) -> Complete:
        if is_non_null_type(kind):
            return self._complete_present(kind.of_type, details, path)
        return _nullable(self._complete_present(kind, details, path))

    def _complete_present(self, kind: Any, details: list[FieldDetails], path: Path) -> Complete:
        """Return how a value is finished that must not be null: a null is a surprise."""
        if is_leaf_type(kind):
            return leaf(kind)
        if is_list_type(kind):
            return _list(self._complete(kind.of_type, details, path))
        if is_object_type(kind):
            return self._object(kind, details, path)
        if is_abstract_type(kind):
            possible = self._operation.schema.get_possible_types(kind)
            return _one_of({_class(one): self._object(one, details, path) for one in possible})
        raise NotCompiled

    def _object(self, kind: GraphQLObjectType, details: list[FieldDetails], path: Path) -> Complete:
        collected = collect_subfields(
            self._operation.schema, self._fragments, self._variables, self._operation.node, kind, details
        )
        if issubclass(_class(kind), Recorded):
            return self._recorded(kind, collected.grouped_field_set, path)
        return _object(_class(kind), self._fields(kind, collected.grouped_field_set, path))

    def _recorded(self, kind: GraphQLObjectType, grouped: Mapping[str, list[FieldDetails]], path: Path) -> Complete:
        """Return how an object is finished part of which is remembered by the bytes of its record."""
        kept, others, slots = {}, {}, list[int]()
        for key, details in grouped.items():
            first = len(self._arguments)
            field = self._field(kind, details, Path(path, key, kind.name))
            below = range(first, len(self._arguments))
            # Whoever asks for Info may see more than the record.
            if _is_of_record(kind, details) and not any(self._arguments[slot].wants_info for slot in below):
                kept[key] = field
                slots += below
            else:
                others[key] = field
        gaps = dict.fromkeys(grouped)
        return _remembered(_class(kind), _together(kept), _together(others), tuple(slots), gaps, self._memory)


def _together(fields: Mapping[str, _Field]) -> Fields:
    return Fields(
        tuple((key, field.resolve) for key, field in fields.items()),
        tuple(key for key, field in fields.items() if field.is_awaited),
    )


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


# How a field gets its value


def _always(value: Any) -> Resolve:
    return lambda _source, _run: value


def _attribute(name: str, complete: Complete) -> Resolve:
    get = attrgetter(name)
    return lambda source, run: complete(get(source), run)


def _asked(function: Callable[..., Any], complete: Complete) -> Resolve:
    return lambda source, run: complete(function(source), run)


def _called_alike(function: Callable[..., Any], kwargs: dict[str, Any], complete: Complete) -> Resolve:
    return lambda source, run: complete(function(source, **kwargs), run)


def _called(function: Callable[..., Any], slot: int, complete: Complete) -> Resolve:
    return lambda source, run: complete(function(source, **run.kwargs(slot)), run)


def _awaited(function: Callable[..., Any], slot: int, key: str, complete: Complete) -> Resolve:
    def resolve(source: Any, run: Run) -> Any:
        value = function(source, **run.kwargs(slot))
        return run.await_at(key, value, complete) if hasattr(value, "__await__") else complete(value, run)

    return resolve


# How a value is finished


def _nullable(complete: Complete) -> Complete:
    return lambda value, run: None if value is None else complete(value, run)


def _list(complete: Complete) -> Complete:
    def complete_list(value: Any, run: Run) -> Any:
        if type(value) is not list:
            raise Surprise
        return [complete(item, run) for item in value]

    return complete_list


def _object(expected: type, fields: Fields) -> Complete:
    def complete(value: Any, run: Run) -> Any:
        if type(value) is not expected:
            raise Surprise
        return fields.of(value, run)

    return complete


def _remembered(
    expected: type[Recorded],
    kept: Fields,
    others: Fields,
    slots: tuple[int, ...],
    gaps: dict[str, Any],
    memory: Fragments,
) -> Complete:
    mark = object()  # one selection's answers are not another's

    def complete(value: Any, run: Run) -> Any:
        if type(value) is not expected:
            raise Surprise
        finished = gaps.copy()  # so that the order is that of the document
        if (record := value.record_bytes()) is None:
            finished |= kept.of(value, run)
        else:
            key = (run.mark(mark, slots), record)
            known = memory.get(key)
            finished |= memory.put(key, record, kept.of(value, run)) if known is None else known
        return others.into(finished, value, run)

    return complete


def _one_of(completes: Mapping[type, Complete]) -> Complete:
    def complete(value: Any, run: Run) -> Any:
        if (known := completes.get(type(value))) is None:
            raise Surprise
        return known(value, run)

    return complete
