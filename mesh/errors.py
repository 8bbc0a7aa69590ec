"""One tree of errors for every hop of the mesh.

    HeliographError
    ├── InvalidArgument      the request can never succeed as it is
    ├── OutOfRange           a position past the end
    ├── Unauthenticated      no valid token
    ├── PermissionDenied     a valid token that may not do this
    ├── NotFound             absent, or hidden from this viewer: the two look the same
    ├── AlreadyExists        the name is taken
    ├── FailedPrecondition   not now: change the state first
    ├── Aborted              lost a race: read again, then retry
    ├── ResourceExhausted    too much: retry after `retry_after_ms`
    ├── Unavailable          try again soon
    ├── DeadlineExceeded     time ran out; a write may have happened: retry with the same key
    └── Internal             a fault of ours, opaque to the caller

A service names its leaves in its own `errors.py`: `class PostNotFound(NotFound): reason = "POST_NOT_FOUND"`.
Over gRPC an error travels as its status with `google.rpc.ErrorInfo`; in GraphQL `reason` is `extensions.code`.
The table of all reasons stands in `protos/README.md`.
"""

from typing import ClassVar, Self


class HeliographError(Exception):
    """An error that callers may see: `reason` for programs, `message` for people, `metadata` for both.

    `metadata` holds short strings only; never captions, message text, tokens or URLs.
    """

    status: ClassVar[str] = "INTERNAL"
    """Name of the gRPC status code."""
    reason: str = "INTERNAL"
    message: str = "something went wrong on our side"

    def __init__(self, message: str | None = None, **metadata: str | int) -> None:
        self.message = message if message is not None else type(self).message
        self.metadata = {key: str(value) for key, value in metadata.items()}
        super().__init__(f"{self.reason}: {self.message}")

    @classmethod
    def received(cls, *, reason: str, message: str, metadata: dict[str, str]) -> Self:
        """Build the error that another service raised, keeping its reason."""
        error = cls(message, **metadata)
        error.reason = reason
        return error


class InvalidArgument(HeliographError):
    """The request can never succeed as it is."""

    status = "INVALID_ARGUMENT"
    reason = "INVALID_ARGUMENT"
    message = "the request is not valid"


class OutOfRange(HeliographError):
    """A position past the end."""

    status = "OUT_OF_RANGE"
    reason = "OUT_OF_RANGE"
    message = "the position is past the end"


class Unauthenticated(HeliographError):
    """There is no valid token."""

    status = "UNAUTHENTICATED"
    reason = "UNAUTHENTICATED"
    message = "a valid bearer token is needed"


class PermissionDenied(HeliographError):
    """The caller is known and may not do this."""

    status = "PERMISSION_DENIED"
    reason = "PERMISSION_DENIED"
    message = "the caller may not do this"


class NotFound(HeliographError):
    """Absent, or hidden from this viewer."""

    status = "NOT_FOUND"
    reason = "NOT_FOUND"
    message = "no such thing"


class AlreadyExists(HeliographError):
    """The name or key is taken."""

    status = "ALREADY_EXISTS"
    reason = "ALREADY_EXISTS"
    message = "it exists already"


class FailedPrecondition(HeliographError):
    """Not in the present state."""

    status = "FAILED_PRECONDITION"
    reason = "FAILED_PRECONDITION"
    message = "not in the present state"


class Aborted(HeliographError):
    """A race was lost; nothing was written."""

    status = "ABORTED"
    reason = "ABORTED"
    message = "somebody else was faster; read again and retry"


class ResourceExhausted(HeliographError):
    """A limit was reached; `retry_after_ms` in the metadata says when to come back."""

    status = "RESOURCE_EXHAUSTED"
    reason = "RATE_LIMITED"
    message = "too many requests"


class Overloaded(ResourceExhausted):
    """The process sheds load: it has as many calls in flight as it can serve in time."""

    reason = "OVERLOADED"
    message = "the service is at its limit; retry soon"


class Unavailable(HeliographError):
    """A dependency is away; the same call may succeed soon."""

    status = "UNAVAILABLE"
    reason = "UNAVAILABLE"
    message = "not available right now"


class DeadlineExceeded(HeliographError):
    """Time ran out. A write may have happened: retry with the same key."""

    status = "DEADLINE_EXCEEDED"
    reason = "DEADLINE_EXCEEDED"
    message = "the answer took too long"


class Internal(HeliographError):
    """A fault of ours. The cause is in our log under the request id, not in the message."""


class RefusedToServe(Exception):
    """A promise can't hold with the servers as they are set up, so the process does not start."""


BY_STATUS: dict[str, type[HeliographError]] = {
    error.status: error
    for error in (
        InvalidArgument, OutOfRange, Unauthenticated, PermissionDenied, NotFound, AlreadyExists,
        FailedPrecondition, Aborted, ResourceExhausted, Unavailable, DeadlineExceeded, Internal,
    )
}  # fmt: skip
"""The class for a gRPC status name; a status that is missing here is `Internal`."""


def leaves(error: BaseException) -> list[BaseException]:
    """Return the exceptions of a group, and of groups inside it; the exception itself when it is no group."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for one in error.exceptions for leaf in leaves(one)]


def told_by(error: BaseException) -> HeliographError | None:
    """Return what a failure tells callers: the error itself, or the first of a `TaskGroup`'s when all are of the tree;
    `None` when it is, or has in it, a fault of ours.
    """
    found = leaves(error)
    known = [one for one in found if isinstance(one, HeliographError)]
    return known[0] if len(known) == len(found) else None
