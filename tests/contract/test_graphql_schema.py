"""The schema that is committed is the one that is served, all of it is described, and nothing published is broken."""

import shutil
import subprocess

from graphql import (
    GraphQLArgument,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
    build_schema,
    find_breaking_changes,
)

from gateway.schema import SDL, build, sdl

PUBLISHED = ("main:gateway/schema.graphql", "origin/main:gateway/schema.graphql")
ANNOUNCED: set[str] = set()
"""Descriptions of breaking changes that clients have been told of; emptied once they are on main."""


def published() -> GraphQLSchema:
    """What `main` has; where there is no such branch, what is committed here."""
    for place in PUBLISHED:
        command = [shutil.which("git") or "git", "show", place]
        shown = subprocess.run(command, cwd=SDL.parent, capture_output=True, text=True, check=False)
        if shown.returncode == 0:
            return build_schema(shown.stdout)
    return build_schema(SDL.read_text(encoding="utf-8"))


def broken(before: GraphQLSchema, after: GraphQLSchema) -> set[str]:
    return {change.description for change in find_breaking_changes(before, after)} - ANNOUNCED


def test_G1_documents_that_were_written_for_the_published_schema_still_hold() -> None:
    assert broken(published(), build()) == set()


def test_G1_a_field_that_is_gone_and_an_argument_that_is_newly_needed_are_caught() -> None:
    shorter, needier = build(), build()
    assert shorter.query_type
    assert needier.query_type
    del shorter.query_type.fields["feed"]
    needier.query_type.fields["post"].args["why"] = GraphQLArgument(GraphQLNonNull(GraphQLString))
    assert broken(build(), shorter) == {"Field Query.feed was removed."}
    assert len(broken(build(), needier)) == 1


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
