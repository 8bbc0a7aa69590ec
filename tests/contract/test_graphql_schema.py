"""The schema that is committed is the schema that is served, and all of it is described."""

from graphql import GraphQLInputObjectType, GraphQLInterfaceType, GraphQLObjectType

from gateway.schema import SDL, build, sdl


def test_G1_the_committed_schema_is_the_one_that_is_served() -> None:
    assert SDL.read_text(encoding="utf-8") == sdl(), "run: python -m gateway schema"


def test_every_type_field_and_argument_is_described() -> None:
    missing = []
    for name, kind in build().type_map.items():
        if name.startswith("__"):
            continue
        if not kind.description:
            missing.append(name)
        if not isinstance(kind, (GraphQLObjectType, GraphQLInterfaceType, GraphQLInputObjectType)):
            continue
        for field_name, field in kind.fields.items():
            if not field.description:
                missing.append(f"{name}.{field_name}")
            missing += [
                f"{name}.{field_name}({arg})" for arg, one in getattr(field, "args", {}).items() if not one.description
            ]
    assert missing == []
