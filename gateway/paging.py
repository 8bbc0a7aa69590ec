"""Connections: forward (and for messages backward) paging by opaque cursors that the services sign."""

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Annotated, TypeVar

import strawberry
from graphql import FieldNode, FragmentSpreadNode, InlineFragmentNode, SelectionSetNode
from strawberry import UNSET

from gateway.context import Info
from gateway.errors import PageSizeInvalid
from mesh.cursor import CursorInvalid

T = TypeVar("T")

MAX_PAGE_SIZE = 50
DEFAULT_PAGE_SIZE = 20
MAX_CURSOR_LENGTH = 1024

First = Annotated[int, strawberry.argument(description="How many to return: 1 to 50.")]
FirstOrNone = Annotated[int | None, strawberry.argument(description="How many to return: 1 to 50.")]
After = Annotated[str | None, strawberry.argument(description="Return what comes after this cursor.")]


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    """Relay's page info."""

    has_next_page: bool = strawberry.field(description="Whether more follows after this page.")
    end_cursor: str | None = strawberry.field(
        description="Give it as `after` to go on; may be set on an empty page while more remains.", default=None
    )
    has_previous_page: bool = strawberry.field(
        description="Whether more stands before this page; known only when paging backward.", default=False
    )
    start_cursor: str | None = strawberry.field(
        description="Give it as `before` to go back, in connections that page backward.", default=None
    )


def page_size(first: int | None, *, default: int = DEFAULT_PAGE_SIZE, most: int = MAX_PAGE_SIZE) -> int:
    """Return the page size; `PageSizeInvalid` outside 1 to `most`."""
    if first is None or first is UNSET:
        return default
    if not 1 <= first <= most:
        raise PageSizeInvalid(max_page_size=most)
    return first


def cursor(after: str | None) -> str:
    """Return a cursor as a page token, empty for none; its signature is checked by the service that made it."""
    if after is None or after is UNSET:
        return ""
    if not after.isascii() or not after.isprintable() or len(after) > MAX_CURSOR_LENGTH:
        raise CursorInvalid
    return after


def with_cursors(things: Sequence[T], cursors: Sequence[str]) -> Iterable[tuple[T, str]]:
    """Return things with their cursors, which are empty when they were not asked for."""
    return zip(things, cursors or repeat(""), strict=False)


def wants_cursors(info: Info) -> bool:
    """Whether the connection's selection asks for the cursor of an edge; services sign them only when asked."""
    return any(
        "cursor" in _names(edge, info)
        for connection in info._raw_info.field_nodes
        for edge in _children(connection.selection_set, info)
        if edge.name.value == "edges"
    )


def _names(field: FieldNode, info: Info) -> set[str]:
    return {child.name.value for child in _children(field.selection_set, info)}


def _children(selection: SelectionSetNode | None, info: Info) -> list[FieldNode]:
    found: list[FieldNode] = []
    for one in selection.selections if selection else ():
        if isinstance(one, FieldNode):
            found.append(one)
        elif isinstance(one, InlineFragmentNode):
            found += _children(one.selection_set, info)
        elif isinstance(one, FragmentSpreadNode):
            found += _children(info._raw_info.fragments[one.name.value].selection_set, info)
    return found
