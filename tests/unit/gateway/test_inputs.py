"""Variables and input objects are read as graphql-core and Strawberry read them, whatever is sent."""

from typing import Any

import pytest
from graphql import (
    GraphQLInputObjectType,
    GraphQLNonNull,
    OperationDefinitionNode,
    get_named_type,
    is_leaf_type,
    parse,
)
from graphql.execution.values import get_argument_values, get_variable_values
from hypothesis import given, settings
from hypothesis import strategies as st
from strawberry.types.arguments import convert_arguments

from gateway.execution.compiler import DEFINITION
from gateway.execution.inputs import converter
from gateway.execution.variables import Unusual, reader
from tests.unit.gateway.conftest import SCHEMA

MUTATIONS = SCHEMA.mutation_type.fields
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.floats(), st.text(max_size=5), st.sampled_from(["POST"])
)
RIGHT: dict[str, st.SearchStrategy[Any]] = {
    "String": st.text(max_size=5),
    "ID": st.text(max_size=5),
    "Int": st.integers(-(2**31), 2**31 - 1),
    "Boolean": st.booleans(),
}


def inputs_of(kind: GraphQLInputObjectType) -> st.SearchStrategy[Any]:
    """What an app may send: mostly right, with fields left out; sometimes anything."""
    fields = {name: st.one_of(rightly(field.type), rightly(field.type), LEAVES) for name, field in kind.fields.items()}
    right = st.fixed_dictionaries({}, optional=fields)
    whole = st.fixed_dictionaries({name: rightly(field.type) for name, field in kind.fields.items()})
    more = st.fixed_dictionaries({"nobodyKnowsThis": LEAVES}, optional=fields)
    return st.one_of(whole, right, right, more, LEAVES, st.lists(LEAVES, max_size=2))


def rightly(kind: Any) -> st.SearchStrategy[Any]:
    named = get_named_type(kind)
    if not is_leaf_type(named):
        return inputs_of(named)
    values = getattr(named, "values", None)
    right = st.sampled_from(sorted(values)) if values else RIGHT.get(named.name, LEAVES)
    return right if isinstance(kind, GraphQLNonNull) else st.one_of(st.none(), right)


def operation_of(name: str) -> OperationDefinitionNode:
    (argument,) = MUTATIONS[name].args.values()
    document = parse(f"mutation M($input: {argument.type}, $spare: Int) {{ {name}(input: $input) {{ __typename }} }}")
    return document.definitions[0]


@pytest.mark.parametrize("name", sorted(MUTATIONS))
def test_variables_and_inputs_are_those_of_graphql_core_and_strawberry(name: str) -> None:
    operation, field = operation_of(name), MUTATIONS[name]
    strawberry_schema = SCHEMA._strawberry_schema
    arguments = field.extensions[DEFINITION].arguments
    read, convert = reader(SCHEMA, operation), converter(strawberry_schema, arguments)
    assert convert is not None

    @settings(max_examples=40, deadline=None)
    @given(
        rightly(next(iter(field.args.values())).type), st.sampled_from([{}, {"spare": None}, {"spare": 3}, {"x": 1}])
    )
    def alike(value: Any, others: dict[str, Any]) -> None:
        variables = {"input": value, **others}
        expected = get_variable_values(SCHEMA, operation.variable_definitions, variables)
        if read is not None:
            try:
                found = read(variables)
            except Unusual:
                pass
            else:
                assert repr(found) == repr(expected)
        if isinstance(expected, list):
            return
        given_values = get_argument_values(field, operation.selection_set.selections[0], expected)
        by_strawberry = convert_arguments(
            given_values,
            arguments,
            scalar_registry=strawberry_schema.schema_converter.scalar_registry,
            config=strawberry_schema.config,
        )
        assert repr(convert(given_values)) == repr(by_strawberry)

    alike()


@pytest.mark.parametrize("given", [{}, {"input": None}, {"input": {}}, {"input": {"postId": True}}, {"input": []}])
def test_what_is_not_plain_to_see_is_left_to_graphql_core(given: dict[str, Any]) -> None:
    read = reader(SCHEMA, operation_of("likePost"))
    assert read is not None
    with pytest.raises(Unusual):
        read(given)


def test_a_send_is_read_the_short_way() -> None:
    read = reader(SCHEMA, operation_of("sendMessage"))
    assert read is not None
    sent = {"recipientId": "VXNlcjoy", "clientMessageId": "m", "content": "hello"}
    assert read({"input": sent}).coerced == {"input": {**sent, "uploadId": None}}
