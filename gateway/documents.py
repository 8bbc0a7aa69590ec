"""Documents: parsed, checked and remembered, by text and by hash.

A document is parsed and validated once, valid or not. By its SHA-256 it may be sent instead of its text: trusted
documents come from a registry file, persisted ones were sent once with their text (automatic persisted queries).
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    parse,
    specified_rules,
    validate,
)
from graphql.execution.values import VariableValues, get_variable_values

from gateway import errors, limits
from gateway.errors import QueryTooComplex
from gateway.execution.arguments import NO_VARIABLES
from gateway.execution.fragments import Fragments
from gateway.execution.plans import Plans
from gateway.execution.variables import Read, Unusual, reader
from mesh.errors import HeliographError, InvalidArgument, NotFound, PermissionDenied

KEPT_CHARACTERS = 1_300_000
"""How much text is remembered, of documents and of their failures; a tree takes some 90 bytes for each character, its
plan half as many: 180 MB.
"""
PERSISTED_CHARACTERS = 8_000_000
"""How much text is remembered by its hash."""
MAX_ERRORS = 20
MAX_VARIABLE_ERRORS = 10
_COSTS_KEPT = 64
_VARIABLES_KEPT = 64


class PersistedQueryNotFound(NotFound):
    """The hash is not known; send the text with it."""

    reason = "PERSISTED_QUERY_NOT_FOUND"
    message = "PersistedQueryNotFound"  # the word that Apollo's client looks for


class PersistedQueryMismatch(InvalidArgument):
    """The text does not have the hash that came with it."""

    reason = "PERSISTED_QUERY_MISMATCH"
    message = "the text does not have this hash"


class DocumentNotTrusted(PermissionDenied):
    """Only documents of the registry are executed here."""

    reason = "DOCUMENT_NOT_TRUSTED"
    message = "only registered documents are executed here"


@dataclass(slots=True)
class Document:
    """A document that may be executed."""

    text: str
    tree: DocumentNode
    schema: GraphQLSchema
    sizes: tuple[str, ...]
    plans: Plans | None = None
    """`None` when plans are switched off."""
    _costs: dict[tuple[Any, ...], int] = field(default_factory=dict)
    _coerced: dict[tuple[Any, ...], VariableValues | list[GraphQLError]] = field(default_factory=dict)
    _readers: dict[int, Read | None] = field(default_factory=dict)

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """Return the operation of a name, or the only one; `InvalidArgument` when there is none or a choice."""
        found = [one for one in self.tree.definitions if isinstance(one, OperationDefinitionNode)]
        if name is not None:
            found = [one for one in found if one.name and one.name.value == name]
        if len(found) != 1:
            raise OperationUnknown
        return found[0]

    def cost(self, operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> int:
        """Return the cost with these variables; `QueryTooComplex` beyond the limit."""
        key = (id(operation), *(_hashable(variables.get(name)) for name in self.sizes))
        if (known := self._costs.get(key)) is None:
            known = limits.cost_of(self.schema, self.tree, operation, variables)
            if len(self._costs) < _COSTS_KEPT:
                self._costs[key] = known
        return known

    def variables(
        self, operation: OperationDefinitionNode, given: Mapping[str, Any]
    ) -> VariableValues | list[GraphQLError]:
        """Return the variables as their types want them, or what is wrong with them."""
        definitions = operation.variable_definitions
        if not definitions:
            return NO_VARIABLES
        if not all(type(value) in (int, bool) for value in given.values()):
            return self._read(operation, given)
        # Page sizes, widths, conditions: few values, sent again and again. A type tells 1 from True.
        key = (id(operation), *((name, type(value), value) for name, value in given.items()))
        if (known := self._coerced.get(key)) is None:
            known = get_variable_values(self.schema, definitions, dict(given), max_errors=MAX_VARIABLE_ERRORS)
            if len(self._coerced) < _VARIABLES_KEPT:
                self._coerced[key] = known
        return known

    def _read(
        self, operation: OperationDefinitionNode, given: Mapping[str, Any]
    ) -> VariableValues | list[GraphQLError]:
        if id(operation) not in self._readers:
            self._readers[id(operation)] = reader(self.schema, operation)
        if (read := self._readers[id(operation)]) is not None:
            with suppress(Unusual):
                return read(given)
        definitions = operation.variable_definitions or ()
        return get_variable_values(self.schema, definitions, dict(given), max_errors=MAX_VARIABLE_ERRORS)


class OperationUnknown(InvalidArgument):
    """The document has no operation of this name, or several and no name was given."""

    reason = "OPERATION_UNKNOWN"
    message = "name the operation that is to be executed"


class DocumentRejected(Exception):
    """A document that can't be executed, with the errors that say why."""

    def __init__(self, failures: list[GraphQLError], *, code: str) -> None:
        super().__init__(code)
        self.answer = {
            "errors": [
                {**failure.formatted, "extensions": {"code": code, **(failure.extensions or {})}}
                for failure in failures[:MAX_ERRORS]
            ]
        }


Found = Document | DocumentRejected | HeliographError


class Documents:
    """The documents of a process."""

    def __init__(
        self,
        schema: GraphQLSchema,
        *,
        introspection: bool,
        trusted: Iterable[str] = (),
        only_trusted: bool = False,
        compiled: bool = True,
    ) -> None:
        self._schema = schema
        self._fragments = Fragments() if compiled else None
        self._rules = [*specified_rules, *([] if introspection else [NoSchemaIntrospectionCustomRule])]
        self._only_trusted = only_trusted
        self._recent: OrderedDict[str, Found] = OrderedDict()
        self._characters = 0
        self._persisted: OrderedDict[str, str] = OrderedDict()
        self._persisted_characters = 0
        self._trusted = {hash_of(text): self._checked(text) for text in trusted}

    def by_text(self, text: str) -> Document:
        """Return a document; `DocumentRejected` or `QueryTooComplex` when it can't be executed."""
        if (found := self._recent.get(text)) is None:
            if self._only_trusted:
                found = self._trusted.get(hash_of(text)) or DocumentNotTrusted()
            else:
                found = self._attempt(text)
            self._remember(text, found)
        else:
            self._recent.move_to_end(text)
        if isinstance(found, Document):
            return found
        raise found

    def by_hash(self, sha256: str, text: str | None) -> Document:
        """Return a document by its hash; with its text, remember it under the hash."""
        if (trusted := self._trusted.get(sha256)) is not None:
            return trusted
        if self._only_trusted:
            raise DocumentNotTrusted
        if text is None:
            if (text := self._persisted.get(sha256)) is None:
                raise PersistedQueryNotFound
            return self.by_text(text)
        if hash_of(text) != sha256:
            raise PersistedQueryMismatch
        document = self.by_text(text)
        if sha256 not in self._persisted:
            self._persisted[sha256] = text
            self._persisted_characters += len(text)
            while self._persisted_characters > PERSISTED_CHARACTERS:
                _, oldest = self._persisted.popitem(last=False)
                self._persisted_characters -= len(oldest)
        return document

    def _attempt(self, text: str) -> Found:
        try:
            return self._checked(text)
        except (DocumentRejected, HeliographError) as failure:
            # Kept and raised again: it must not hold on to the frames of this request.
            return failure.with_traceback(None)

    def _checked(self, text: str) -> Document:
        try:
            limits.check_length(text)
            tree = parse(text, max_tokens=limits.MAX_TOKENS)
            limits.check_structure(tree)
        except GraphQLError as failure:
            raise DocumentRejected([failure], code=errors.PARSE_FAILED) from None
        except RecursionError:
            raise QueryTooComplex(measure="depth", at_most=limits.MAX_DEPTH) from None
        if failures := validate(self._schema, tree, self._rules, max_errors=MAX_ERRORS):
            raise DocumentRejected(failures, code=errors.VALIDATION_FAILED)
        plans = None if self._fragments is None else Plans(self._schema, tree, self._fragments)
        return Document(text, tree, self._schema, limits.size_variables(tree), plans)

    def _remember(self, text: str, found: Found) -> None:
        self._recent[text] = found
        self._characters += len(text) + 200
        while self._characters > KEPT_CHARACTERS:
            oldest, _ = self._recent.popitem(last=False)
            self._characters -= len(oldest) + 200


def hash_of(text: str) -> str:
    """Return the SHA-256 of a document's text, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def read_registry(path: Path) -> list[str]:
    """Return the texts of a registry file, a JSON object of texts by their SHA-256; `ValueError` when one differs."""
    registry = json.loads(path.read_text(encoding="utf-8"))
    for sha256, text in registry.items():
        if hash_of(text) != sha256:
            raise ValueError(f"{path}: the document under {sha256} has another hash: {hash_of(text)}")
    return list(registry.values())


def _hashable(value: Any) -> Any:
    return value if isinstance(value, (int, str, bool, type(None))) else None
