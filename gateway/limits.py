"""Limits of documents: structure before validation, cost after it. Every fragment is measured once.

Stock limiters expand each spread anew, so 748 bytes of fragments that spread one another twice hold a server for
seconds; here the measures of a fragment are kept, and the work is linear in the document's length.

Cost counts what answering takes: 1 for a field, 10 more for one that may call a service, 50 for a mutation, each times
the lengths of the lists around it: `first` or `last` where given, else their defaults, else 10.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any, Self

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
)
from graphql.type import GraphQLInterfaceType

from gateway.errors import QueryTooComplex

MAX_TOKENS = 2_000
"""graphql-core lexes and parses some 100,000 tokens a second, and no request may hold the loop for 50 ms."""
MAX_DEPTH = 20
MAX_FIELDS = 600
"""Fields, spreads expanded."""
MAX_ALIASES = 60
MAX_ROOT_FIELDS = 20
MAX_DIRECTIVES = 60
MAX_OPERATIONS = 20
MAX_FRAGMENTS = 100
MAX_REPEATS = 30
"""How often one name may stand in a selection: validation compares every pair of them."""
MAX_COST = 30_000

FIELD_COST = 1
CALL_COST = 10
MUTATION_COST = 50
UNKNOWN_LENGTH = 10
_SIZES = ("first", "last")
_TOKEN = re.compile(r'#[^\r\n]*|"""(?:\\"""|.)*?(?:"""|\Z)|"(?:[^"\\\r\n]|\\.)*+"?|\w+|\.\.\.|[^\s,]', re.DOTALL)
"""A token or a comment; what GraphQL does not know counts by the character. A string that never ends is one token:
to look for its end from each of its quotes would take seconds.
"""
_MOST = 10**9


@dataclass(frozen=True, slots=True)
class Measures:
    """What a selection comes to, spreads expanded."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0

    def beside(self, other: Self) -> "Measures":
        """Return the measures of two selections that stand side by side."""
        return Measures(
            max(self.depth, other.depth),
            min(_MOST, self.fields + other.fields),
            min(_MOST, self.aliases + other.aliases),
            min(_MOST, self.directives + other.directives),
        )


def check_length(text: str) -> None:
    """Raise `QueryTooComplex` for a text of too many tokens, counted roughly and 50 times as fast as by parsing it."""
    if any(number == MAX_TOKENS for number, _ in enumerate(_TOKEN.finditer(text))):
        raise QueryTooComplex(measure="tokens", at_most=MAX_TOKENS)


def check_structure(document: DocumentNode) -> None:
    """Raise `QueryTooComplex` for a document beyond the limits; knows nothing of the schema, so it runs first."""
    operations = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    if len(operations) > MAX_OPERATIONS:
        raise QueryTooComplex(measure="operations", found=len(operations), at_most=MAX_OPERATIONS)
    meter = _Meter(document)
    if len(meter.fragments) > MAX_FRAGMENTS:
        raise QueryTooComplex(measure="fragments", found=len(meter.fragments), at_most=MAX_FRAGMENTS)
    for name in meter.fragments:
        _check(meter.fragment(name))
    for operation in operations:
        found = meter.selection(operation.selection_set)
        _check(found.beside(Measures(directives=len(operation.directives or ()))))


def _check(found: Measures) -> None:
    for name, value, most in (
        ("depth", found.depth, MAX_DEPTH),
        ("fields", found.fields, MAX_FIELDS),
        ("aliases", found.aliases, MAX_ALIASES),
        ("directives", found.directives, MAX_DIRECTIVES),
    ):
        if value > most:
            raise QueryTooComplex(measure=name, found=value, at_most=most)


class _Meter:
    def __init__(self, document: DocumentNode) -> None:
        self.fragments = {
            one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)
        }
        self._known: dict[str, Measures] = {}
        self._open: set[str] = set()

    def selection(self, selection: SelectionSetNode | None) -> Measures:
        self._check_repeats(selection)
        total = Measures()
        for node in selection.selections if selection else ():
            total = total.beside(Measures(directives=len(node.directives or ())))
            if isinstance(node, FieldNode):
                below = self.selection(node.selection_set)
                aliased = node.alias is not None and node.alias.value != node.name.value
                total = total.beside(
                    Measures(below.depth + 1, below.fields + 1, below.aliases + aliased, below.directives)
                )
            elif isinstance(node, InlineFragmentNode):
                total = total.beside(self.selection(node.selection_set))
            elif isinstance(node, FragmentSpreadNode):
                total = total.beside(self.fragment(node.name.value))
        return total

    def fragment(self, name: str) -> Measures:
        if name in self._known:
            return self._known[name]
        if name in self._open or name not in self.fragments:
            return Measures()  # a cycle or an unknown name: validation says so
        self._open.add(name)
        measured = self._known[name] = self.selection(self.fragments[name].selection_set)
        self._open.discard(name)
        return measured

    def _check_repeats(self, selection: SelectionSetNode | None) -> None:
        names: Counter[str] = Counter()
        waiting, spread = [selection], set()
        while waiting:
            current = waiting.pop()
            for node in current.selections if current else ():
                if isinstance(node, FieldNode):
                    names[(node.alias or node.name).value] += 1
                elif isinstance(node, InlineFragmentNode):
                    waiting.append(node.selection_set)
                elif isinstance(node, FragmentSpreadNode):
                    fragment = self.fragments.get(node.name.value)
                    if fragment is not None and node.name.value not in spread:
                        spread.add(node.name.value)
                        waiting.append(fragment.selection_set)
        most = max(names.values(), default=0)
        if most > MAX_REPEATS:
            raise QueryTooComplex(measure="repeats of one field", found=most, at_most=MAX_REPEATS)


def size_variables(document: DocumentNode) -> tuple[str, ...]:
    """Return the names of the variables that decide about cost: those given as `first` or `last`."""
    return tuple(
        dict.fromkeys(
            argument.value.name.value
            for field in _fields_of(document)
            for argument in field.arguments or ()
            if argument.name.value in _SIZES and isinstance(argument.value, VariableNode)
        )
    )


def _fields_of(document: DocumentNode) -> Iterator[FieldNode]:
    waiting: list[Any] = [getattr(one, "selection_set", None) for one in document.definitions]
    while waiting:
        for node in getattr(waiting.pop(), "selections", ()):
            if isinstance(node, FieldNode):
                yield node
            waiting.append(getattr(node, "selection_set", None))


def cost_of(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> int:
    """Return the cost of a valid operation; `QueryTooComplex` beyond the limit."""
    root = schema.get_root_type(operation.operation)
    defaults = {
        one.variable.name.value: int(one.default_value.value)
        for one in operation.variable_definitions or ()
        if isinstance(one.default_value, IntValueNode)
    }
    meter = _CostMeter(schema, document, {**defaults, **variables})
    base = MUTATION_COST if operation.operation is OperationType.MUTATION else 0
    if len(operation.selection_set.selections) > MAX_ROOT_FIELDS:
        raise QueryTooComplex(
            measure="root fields", found=len(operation.selection_set.selections), at_most=MAX_ROOT_FIELDS
        )
    cost = meter.selection(operation.selection_set, root) + base * len(operation.selection_set.selections)
    if cost > MAX_COST:
        raise QueryTooComplex(measure="cost", found=min(cost, _MOST), at_most=MAX_COST)
    return cost


class _CostMeter:
    def __init__(self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self._schema = schema
        self._variables = variables
        self._fragments = {
            one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)
        }
        self._known: dict[tuple[str, int], int] = {}

    def selection(self, selection: SelectionSetNode | None, parent: Any, length: int = UNKNOWN_LENGTH) -> int:
        """Return the cost of a selection on `parent`; `length` is that of `edges` in it."""
        total = 0
        for node in selection.selections if selection else ():
            if isinstance(node, FieldNode):
                total += self._field(node, parent, length)
            elif isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                kind = self._schema.get_type(condition.name.value) if condition else parent
                total += self.selection(node.selection_set, kind, length)
            elif isinstance(node, FragmentSpreadNode):
                total += self._fragment(node.name.value, length)
        return min(total, _MOST)

    def _fragment(self, name: str, length: int) -> int:
        if (name, length) not in self._known:
            fragment = self._fragments[name]
            kind = self._schema.get_type(fragment.type_condition.name.value)
            self._known[name, length] = self.selection(fragment.selection_set, kind, length)
        return self._known[name, length]

    def _field(self, node: FieldNode, parent: Any, length: int) -> int:
        name = node.name.value
        if name.startswith("__") or not isinstance(parent, (GraphQLObjectType, GraphQLInterfaceType)):
            return FIELD_COST + self.selection(node.selection_set, None, 1)
        field = parent.fields[name]
        size = self._size(node, field)
        below = self.selection(node.selection_set, get_named_type(field.type), size or UNKNOWN_LENGTH)
        if is_list_type(get_nullable_type(field.type)):
            below *= size or (length if name == "edges" else UNKNOWN_LENGTH)
        return FIELD_COST + (CALL_COST if _may_call(field) else 0) + below

    def _size(self, node: FieldNode, field: GraphQLField) -> int | None:
        """Return the page size that is asked for; `None` for a field that has none."""
        sizes = [name for name in _SIZES if name in field.args]
        if not sizes:
            return None
        given = {one.name.value: one.value for one in node.arguments or ()}
        found = [self._value(given[name]) for name in sizes if name in given]
        if known := [size for size in found if size is not None]:
            return max(known)
        default = field.args[sizes[0]].default_value
        return default if isinstance(default, int) else 2 * UNKNOWN_LENGTH

    def _value(self, node: Any) -> int | None:
        if isinstance(node, VariableNode):
            value = self._variables.get(node.name.value)
        elif isinstance(node, IntValueNode):
            value = int(node.value)
        else:
            return None
        # A size outside its limits is refused later; here it only must not make the document look cheap.
        return max(1, value) if isinstance(value, int) and not isinstance(value, bool) else None


def _may_call(field: GraphQLField) -> bool:
    resolver = _base_resolver(field)
    return resolver is not None and iscoroutinefunction(resolver)


def _base_resolver(field: GraphQLField) -> Callable[..., Any] | None:
    definition = field.extensions.get("strawberry-definition")
    resolver = getattr(definition, "base_resolver", None)
    found: Callable[..., Any] | None = getattr(resolver, "wrapped_func", None)
    return found
