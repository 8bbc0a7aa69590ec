"""Documents made up by hypothesis from the schema: any field, alias, fragment, directive, variable and id."""

from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLNamedType,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    is_non_null_type,
)
from hypothesis import strategies as st

from gateway import ids
from tests.unit.gateway.conftest import SCHEMA

IDS = (
    *(ids.encode("User", key) for key in (1, 2, 3, 5, 99)),
    *(ids.encode("Post", key) for key in (101, 140, 150, 9)),
    *(ids.encode("Story", key) for key in (901, 904, 9)),
    *(ids.encode("Conversation", key) for key in ("1-2", "2-3", "1-9")),
    *(ids.encode("Message", f"10000000-0000-4000-8000-{key:012}") for key in (0, 9)),
    *(ids.encode("Upload", f"20000000-0000-4000-8000-{key:012}") for key in (1, 9)),
    "rubbish",
)
VALUES: dict[str, tuple[Any, ...]] = {
    "ID": IDS,
    "Int": (0, 1, 3, 20, 51, 320, 1080, 2**31 - 1),
    "String": ("", "alice", "bob", "nobody", "ünïcödé", 'qu"ote'),
    "Boolean": (True, False),
}


@dataclass(slots=True)
class Writer:
    """Writes one document, drawing what stands in it."""

    draw: Any
    variables: dict[str, Any] = field(default_factory=dict)
    declared: list[str] = field(default_factory=list)
    fragments: list[str] = field(default_factory=list)
    names: int = 0
    left: int = 25
    """Fields that may still be written."""

    def document(self) -> str:
        root = SCHEMA.query_type
        assert root is not None
        body = self.selection(root, depth=4, aliased=False)
        head = f"query ({' '.join(self.declared)}) " if self.declared else ""
        return "\n".join([head + body, *self.fragments])

    def selection(self, kind: GraphQLNamedType, *, depth: int, aliased: bool) -> str:
        parts = [self.part(kind, depth, aliased) for _ in range(self.draw(st.integers(1, 3))) if self.left > 0]
        return "{ " + " ".join(["__typename", *parts]) + " }"

    def part(self, kind: Any, depth: int, aliased: bool) -> str:
        self.left -= 1
        how = self.draw(st.integers(0, 9))
        if is_abstract_type(kind) and how < 7:
            one = self.draw(st.sampled_from(SCHEMA.get_possible_types(kind)))
            return f"... on {one.name} {self.directive()} {self.selection(one, depth=depth, aliased=True)}"
        if how == 0:
            return f"... {self.directive()} {self.selection(kind, depth=depth, aliased=aliased)}"
        if how == 1 and not is_abstract_type(kind):
            name = self.name("F")
            self.fragments.append(
                f"fragment {name} on {kind.name} {self.selection(kind, depth=depth, aliased=aliased)}"
            )
            return f"...{name} {self.directive()}" * self.draw(st.integers(1, 2))
        return self.field(kind, depth, aliased)

    def field(self, kind: Any, depth: int, aliased: bool) -> str:
        fields: dict[str, GraphQLField] = getattr(kind, "fields", {})
        leaves = [name for name, one in fields.items() if is_leaf_type(get_named_type(one.type))]
        names = list(fields) if depth > 1 else leaves
        if not names:
            return "__typename"
        name = self.draw(st.sampled_from(names))
        given = [written for key, one in fields[name].args.items() if (written := self.argument(key, one))]
        # Two fields of one name must ask for the same: whatever has arguments gets a name of its own.
        alias = f"{self.name('a')}: " if given or aliased or self.draw(st.integers(0, 4)) == 0 else ""
        arguments = f"({', '.join(given)})" if given else ""
        below = get_named_type(fields[name].type)
        selection = "" if is_leaf_type(below) else " " + self.selection(below, depth=depth - 1, aliased=bool(aliased))
        return f"{alias}{name}{arguments} {self.directive()}{selection}"

    def argument(self, key: str, one: GraphQLArgument) -> str:
        kind = get_named_type(one.type)
        if not is_non_null_type(one.type) and self.draw(st.booleans()):
            return ""
        if isinstance(kind, GraphQLEnumType):
            return f"{key}: {self.draw(st.sampled_from(sorted(kind.values)))}"
        value = self.draw(st.sampled_from(VALUES[kind.name]))
        if self.draw(st.booleans()):
            return f"{key}: ${self.variable(str(one.type), value)}"
        return f"{key}: {written(value)}"

    def directive(self) -> str:
        how = self.draw(st.integers(0, 9))
        if how > 2:
            return ""
        value = self.draw(st.booleans())
        condition = f"${self.variable('Boolean!', value)}" if how else written(value)
        return f"@{self.draw(st.sampled_from(['skip', 'include']))}(if: {condition})"

    def variable(self, kind: str, value: Any) -> str:
        name = self.name("v")
        self.declared.append(f"${name}: {kind}")
        self.variables[name] = value
        return name

    def name(self, prefix: str) -> str:
        self.names += 1
        return f"{prefix}{self.names}"


def written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else '"' + value.replace('"', '\\"') + '"'


@st.composite
def documents(draw: Any) -> tuple[str, dict[str, Any]]:
    """A document, and values of its variables."""
    writer = Writer(draw)
    return writer.document(), writer.variables
