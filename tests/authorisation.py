"""Who may use what: a row for every root field of the schema, for five kinds of people, on Alice's things.

A row names the arguments and who gets an answer. What is selected is generated from the schema, everything below the
field to some depth, so that a field added anywhere is asked for too; and no answer may hold a text that is a secret
from whoever asked. Documents are filled with the ids of a world in memory or of the running system.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
)


class Role(Enum):
    """How somebody stands to Alice."""

    OWNER = "Alice herself"
    OTHER = "follows her, is followed by her, and talks with her"
    BLOCKED = "blocked by her"
    STRANGER = "has nothing to do with her"
    ANONYMOUS = "bears no token"


PEOPLE = (Role.BLOCKED, Role.STRANGER, Role.OTHER, Role.OWNER)
"""Those with a token; who may change the least comes first."""
EVERYBODY = frozenset(PEOPLE)
MEMBERS = frozenset({Role.OWNER, Role.OTHER})
UNBLOCKED = frozenset({Role.OWNER, Role.OTHER, Role.STRANGER})
OTHERS = frozenset({Role.OTHER, Role.STRANGER})
OWNER = frozenset({Role.OWNER})

DEPTHS = {"Query": (1, 5), "Mutation": (1,), "Subscription": (4,)}
"""Objects below a root field: of `home` feed, an edge, its post, its author. A hidden field that must not be null takes
all above it along, so queries are also asked for little; mutations change something each time.
"""
OTHER_TYPES = {"key": "String!", "cursor": "String"}
"""Types of variables; all others are ids."""


@dataclass(frozen=True, slots=True)
class Row:
    """The arguments of a root field, by variables, and who gets an answer."""

    allowed: frozenset[Role]
    arguments: str = ""


# `$request` is a stranger's message request to Alice. What changes how people stand to one another stands at the end.
ROWS: dict[str, Row] = {
    "Query.home": Row(EVERYBODY),
    "Query.feed": Row(EVERYBODY),
    "Query.viewer": Row(EVERYBODY),
    "Query.storyTray": Row(EVERYBODY, "first: 5"),
    "Query.conversations": Row(EVERYBODY),
    "Query.user": Row(UNBLOCKED, "id: $alice"),
    "Query.node": Row(MEMBERS, "id: $message"),
    "Query.post": Row(UNBLOCKED, "id: $post"),
    "Query.stories": Row(UNBLOCKED, "userId: $alice"),
    "Query.conversation": Row(MEMBERS, "id: $talk"),
    "Query.upload": Row(OWNER, "id: $upload"),
    "Subscription.inbox": Row(EVERYBODY, "after: $cursor"),
    "Subscription.live": Row(EVERYBODY),
    "Mutation.createUpload": Row(EVERYBODY, 'input: {kind: POST, contentType: "image/jpeg", byteSize: 9}'),
    "Mutation.completeUpload": Row(OWNER, "input: {uploadId: $upload}"),
    "Mutation.abortUpload": Row(OWNER, "input: {uploadId: $pendingUpload}"),
    "Mutation.createPost": Row(OWNER, "input: {uploadId: $upload, idempotencyKey: $key}"),
    "Mutation.likePost": Row(UNBLOCKED, "input: {postId: $post}"),
    "Mutation.unlikePost": Row(UNBLOCKED, "input: {postId: $post}"),
    "Mutation.updateProfile": Row(EVERYBODY, 'input: {displayName: "New"}'),
    "Mutation.publishStory": Row(OWNER, "input: {uploadId: $storyUpload, idempotencyKey: $key}"),
    "Mutation.markStorySeen": Row(MEMBERS, "input: {storyId: $story}"),
    "Mutation.sendMessage": Row(OTHERS, 'input: {recipientId: $alice, content: "x", clientMessageId: $key}'),
    "Mutation.markConversationRead": Row(MEMBERS, "input: {conversationId: $talk, upToNumber: 1}"),
    "Mutation.setTyping": Row(MEMBERS, "input: {conversationId: $talk}"),
    "Mutation.ignoreMessageRequest": Row(OWNER, "input: {conversationId: $request}"),
    "Mutation.acceptMessageRequest": Row(OWNER | {Role.STRANGER}, "input: {conversationId: $request}"),
    "Mutation.updateMessageSettings": Row(EVERYBODY, "input: {audience: EVERYONE}"),
    "Mutation.unsendMessage": Row(OWNER, "input: {messageId: $message}"),
    "Mutation.deleteStory": Row(OWNER, "input: {storyId: $story}"),
    "Mutation.deletePost": Row(OWNER, "input: {postId: $post}"),
    "Mutation.follow": Row(OTHERS, "input: {userId: $alice}"),
    "Mutation.unfollow": Row(UNBLOCKED, "input: {userId: $alice}"),
    "Mutation.block": Row(OTHERS | {Role.BLOCKED}, "input: {userId: $alice}"),
    "Mutation.unblock": Row(EVERYBODY, "input: {userId: $alice}"),
}


def missing_rows(schema: GraphQLSchema) -> set[str]:
    """The root fields without a row."""
    roots = [root for root in (schema.query_type, schema.mutation_type, schema.subscription_type) if root]
    return {f"{root.name}.{name}" for root in roots for name in root.fields} - set(ROWS)


def documents_of(schema: GraphQLSchema, name: str) -> list[str]:
    """The documents of a row: its field with all that can be selected below it, to each depth."""
    return [_document(schema, name, depth) for depth in DEPTHS[name.partition(".")[0]]]


def _document(schema: GraphQLSchema, name: str, depth: int) -> str:
    root, _, field = name.partition(".")
    arguments = ROWS[name].arguments
    declared = ", ".join(f"${one}: {OTHER_TYPES.get(one, 'ID!')}" for one in variables_of(arguments))
    kind = schema.get_type(root)
    assert isinstance(kind, GraphQLObjectType)
    call = f"{field}({arguments})" if arguments else field
    head = f"{root.lower()} ({declared})" if declared else root.lower()
    return f"{head} {{ {call} {selection(schema, get_named_type(kind.fields[field].type), depth)} }}"


def variables_of(arguments: str) -> list[str]:
    """The names of the variables in the arguments of a row."""
    return list(dict.fromkeys(re.findall(r"\$(\w+)", arguments)))


def selection(schema: GraphQLSchema, kind: object, depth: int) -> str:
    """Everything below a type, to a depth; empty for a scalar."""
    if isinstance(kind, GraphQLObjectType):
        return "{ " + " ".join(_fields(schema, kind.fields.items(), depth)) + " }"
    if isinstance(kind, (GraphQLUnionType, GraphQLInterfaceType)):
        possible = schema.get_possible_types(kind)
        parts = []
        for one in possible:
            # Two types may not select one name with different types: the name is made theirs.
            apart = {name for name in one.fields if len({_type_of(other, name) for other in possible} - {None}) > 1}
            fields = " ".join(_fields(schema, one.fields.items(), depth, prefix=one.name, apart=apart))
            parts.append(f"... on {one.name} {{ {fields} }}")
        return "{ __typename " + " ".join(parts) + " }"
    return ""


def _fields(
    schema: GraphQLSchema,
    fields: Iterable[tuple[str, GraphQLField]],
    depth: int,
    *,
    prefix: str = "",
    apart: Iterable[str] = (),
) -> Iterator[str]:
    for name, field in fields:
        kind = get_named_type(field.type)
        below = selection(schema, kind, depth - 1) if depth > 0 else ""
        if isinstance(kind, (GraphQLObjectType, GraphQLUnionType, GraphQLInterfaceType)) and not below:
            continue
        pages = "(first: 2)" if "first" in field.args else ""
        alias = f"{prefix}_{name}: " if name in apart else ""
        yield f"{alias}{name}{pages}{' ' + below if below else ''}"


def _type_of(kind: GraphQLObjectType, name: str) -> str | None:
    field = kind.fields.get(name)
    return None if field is None else str(field.type)


def problems_of(
    row: str, role: Role, answers: Iterable[Mapping[str, Any]], secrets: Mapping[str, frozenset[Role]]
) -> list[str]:
    """What is wrong with the answers that somebody got to the documents of a row.

    An answer without data where one was due counts only when none of them has any: what is asked for far below may
    rightly be refused.
    """
    answers = list(answers)
    texts = [json.dumps(answer, ensure_ascii=False) for answer in answers]
    got = any(_holds_data(answer) for answer in answers)
    problems = []
    if got != (role in ROWS[row].allowed):
        problems.append(f"{row}: {role.name} got {texts[0][:300]}")
    for secret, readers in secrets.items():
        if role not in readers and any(secret in text for text in texts):
            problems.append(f"{row}: {role.name} saw {secret!r}")
    if role is Role.ANONYMOUS and not all("UNAUTHENTICATED" in text for text in texts):
        problems.append(f"{row}: without a token {texts[0][:300]}")
    return problems


def _holds_data(answer: Mapping[str, Any]) -> bool:
    data = answer.get("data")
    return data is not None and all(value is not None for value in data.values())
