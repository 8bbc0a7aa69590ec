"""An error of `mesh.errors` on the wire, and back."""

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2
from grpc.aio import AioRpcError, Metadata

from mesh.errors import BY_STATUS, HeliographError, Internal

DOMAIN = "heliograph"
DETAILS_KEY = "grpc-status-details-bin"

_NAMES: dict[int, str] = {code.value[0]: code.name for code in grpc.StatusCode}


def code_of(error: HeliographError) -> grpc.StatusCode:
    """Return the gRPC status code of an error."""
    return grpc.StatusCode[error.status]


def details_of(error: HeliographError) -> bytes:
    """Return the serialized `google.rpc.Status` that carries the reason and the metadata of an error."""
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    packed = AnyMessage()
    packed.Pack(info)
    status = status_pb2.Status(code=code_of(error).value[0], message=error.message, details=[packed])
    data: bytes = status.SerializeToString()
    return data


def trailers_of(error: HeliographError) -> tuple[tuple[str, bytes], ...]:
    """Return the trailing metadata of a call that failed with an error."""
    return ((DETAILS_KEY, details_of(error)),)


def error_of(failure: AioRpcError) -> HeliographError:
    """Return the error that a failed call tells of; one that bears no reason keeps its status and gets that as
    reason.
    """
    return _error(failure.code().name, failure.details(), _details_in(failure.trailing_metadata()))


def error_from(code: int, message: str, details: bytes) -> HeliographError:
    """Return the error that a number, a message and `details_of` tell of."""
    return _error(_NAMES.get(code, "UNKNOWN"), message, details)


def _error(status: str, message: str | None, details: bytes) -> HeliographError:
    kind = BY_STATUS.get(status, Internal)
    info = _info_in(details)
    if info is None:
        return kind()
    return kind.received(reason=info.reason, message=message or kind.message, metadata=dict(info.metadata))


def _details_in(trailers: Metadata | None) -> bytes:
    found = (value for key, value in trailers or () if key == DETAILS_KEY and isinstance(value, bytes))
    return next(found, b"")


def _info_in(details: bytes) -> error_details_pb2.ErrorInfo | None:
    for detail in status_pb2.Status.FromString(details).details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.domain == DOMAIN:
            return info
    return None
