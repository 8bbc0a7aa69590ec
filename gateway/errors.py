"""Errors of the gateway, and how every error looks in a GraphQL answer.

An error of the tree shows its `reason` as `extensions.code` and its metadata beside it, in camel case. Anything else
is ours: it is logged under the request id and shown as INTERNAL. The table of reasons stands in `protos/README.md`.
"""

from collections.abc import Iterable
from typing import Any

from graphql import GraphQLError, GraphQLSyntaxError
from graphql.error import GraphQLFormattedError

from mesh import telemetry
from mesh.errors import HeliographError, Internal, InvalidArgument, ResourceExhausted

PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
BAD_USER_INPUT = "BAD_USER_INPUT"

_log = telemetry.get_logger(__name__)


class IdInvalid(InvalidArgument):
    """An id is malformed, or of another kind than is asked for."""

    reason = "ID_INVALID"
    message = "the id is not one of this kind"


class PageSizeInvalid(InvalidArgument):
    """`first` or `last` is outside its limits."""

    reason = "PAGE_SIZE_INVALID"
    message = "the page size is outside its limits"


class ArgumentsInvalid(InvalidArgument):
    """Arguments that exclude or need one another."""

    reason = "ARGUMENTS_INVALID"
    message = "the arguments don't go together"


class TextInvalid(InvalidArgument):
    """A text holds a NUL or half of a surrogate pair."""

    reason = "TEXT_INVALID"
    message = "the text holds a character that is not allowed"


class QueryTooComplex(InvalidArgument):
    """The document is beyond a limit of depth, size or cost."""

    reason = "QUERY_TOO_COMPLEX"
    message = "the document asks for too much; ask for less at once"


class RateLimited(ResourceExhausted):
    """The caller spent what they may spend in this time."""

    reason = "RATE_LIMITED"
    message = "too many requests; retry later"


def formatted(error: GraphQLError) -> GraphQLFormattedError:
    """Return an error as clients get it: typed, or masked and logged."""
    answer = error.formatted
    answer["extensions"] = _extensions(error, answer)
    return answer


def in_order(found: Iterable[GraphQLError]) -> list[GraphQLError]:
    """Return errors in the order of the document and of its lists; they come in whichever order services answered."""
    return sorted(found, key=lambda error: ([*map(tuple, error.locations or ())], error.path or []))


def request_error(message: str, code: str, **extensions: Any) -> dict[str, Any]:
    """Return the answer to a request that was not executed."""
    return {"errors": [{"message": message, "extensions": {"code": code, **extensions}}]}


def refusal(error: HeliographError) -> dict[str, Any]:
    """Return the answer to a request that was refused with an error of the tree."""
    return request_error(error.message, error.reason, **_metadata(error))


def _extensions(error: GraphQLError, answer: GraphQLFormattedError) -> dict[str, Any]:
    original = error.original_error
    while isinstance(original, GraphQLError) and original.original_error is not None:
        original = original.original_error
    if isinstance(original, HeliographError):
        answer["message"] = original.message
        return {"code": original.reason, **_metadata(original)}
    if original is None or isinstance(original, GraphQLError):
        return {"code": _standard_code(error), **(error.extensions or {})}
    _log.error("resolver_failed", path=error.path, exc_info=original)
    answer["message"] = Internal.message
    return {"code": Internal.reason, "requestId": telemetry.request_id.get()}


def _standard_code(error: GraphQLError) -> str:
    if isinstance(error, GraphQLSyntaxError):
        return PARSE_FAILED
    return BAD_USER_INPUT if error.path is None else Internal.reason


def _metadata(error: HeliographError) -> dict[str, Any]:
    return {_camel(key): int(value) if value.isdigit() else value for key, value in error.metadata.items()}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
