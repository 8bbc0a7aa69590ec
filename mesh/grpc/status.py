"""An error of `mesh.errors` on the wire, and back."""

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2
from grpc.aio import AioRpcError, Metadata

from mesh.errors import BY_STATUS, HeliographError, Internal

DOMAIN = "heliograph"
DETAILS_KEY = "grpc-status-details-bin"


def code_of(error: HeliographError) -> grpc.StatusCode:
    """Return the gRPC status code of an error."""
    return grpc.StatusCode[error.status]


def trailers_of(error: HeliographError) -> tuple[tuple[str, bytes], ...]:
    """Return the trailing metadata that carries the reason and the metadata of an error."""
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    packed = AnyMessage()
    packed.Pack(info)
    status = status_pb2.Status(code=code_of(error).value[0], message=error.message, details=[packed])
    return ((DETAILS_KEY, status.SerializeToString()),)


def error_of(failure: AioRpcError) -> HeliographError:
    """Return the error that a failed call tells of; one that bears no reason keeps its status and gets that as
    reason.
    """
    kind = BY_STATUS.get(failure.code().name, Internal)
    info = _info_of(failure.trailing_metadata())
    if info is None:
        return kind()
    return kind.received(reason=info.reason, message=failure.details() or kind.message, metadata=dict(info.metadata))


def _info_of(trailers: Metadata | None) -> error_details_pb2.ErrorInfo | None:
    for key, value in trailers or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info) and info.domain == DOMAIN:
                    return info
    return None
