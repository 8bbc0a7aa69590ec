"""mesh.errors and mesh.grpc.status: one tree that survives every hop."""

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2
from grpc.aio import AioRpcError, Metadata

from mesh.errors import BY_STATUS, HeliographError, Internal, NotFound, Overloaded, ResourceExhausted
from mesh.grpc.status import code_of, error_of, trailers_of


class PostNotFound(NotFound):
    reason = "POST_NOT_FOUND"
    message = "there is no such post"


def on_the_wire(error: HeliographError) -> AioRpcError:
    return AioRpcError(code_of(error), Metadata(), Metadata(*trailers_of(error)), details=error.message)


def test_an_error_keeps_reason_message_and_metadata_over_a_hop() -> None:
    received = error_of(on_the_wire(PostNotFound("gone", post_id=42)))
    assert isinstance(received, NotFound)
    assert (received.reason, received.message, received.metadata) == ("POST_NOT_FOUND", "gone", {"post_id": "42"})


def test_an_error_survives_a_second_hop_unchanged() -> None:
    once = error_of(on_the_wire(PostNotFound(post_id=42)))
    twice = error_of(on_the_wire(once))
    assert (twice.reason, twice.message, twice.metadata, type(twice)) == (
        "POST_NOT_FOUND",
        "there is no such post",
        {"post_id": "42"},
        NotFound,
    )


@pytest.mark.parametrize("status", sorted(BY_STATUS))
def test_every_status_of_the_tree_is_a_grpc_status_and_comes_back_as_itself(status: str) -> None:
    received = error_of(on_the_wire(BY_STATUS[status]()))
    assert type(received) is BY_STATUS[status]
    assert received.reason == BY_STATUS[status].reason


def test_a_leaf_is_received_as_its_status_with_its_reason() -> None:
    received = error_of(on_the_wire(Overloaded(retry_after_ms=500)))
    assert type(received) is ResourceExhausted
    assert received.reason == "OVERLOADED"
    assert received.metadata == {"retry_after_ms": "500"}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
        (grpc.StatusCode.UNKNOWN, "INTERNAL"),
        (grpc.StatusCode.UNIMPLEMENTED, "INTERNAL"),
        (grpc.StatusCode.DATA_LOSS, "INTERNAL"),
    ],
)
def test_a_failure_without_our_details_keeps_its_status_and_hides_its_text(code: grpc.StatusCode, kind: str) -> None:
    received = error_of(AioRpcError(code, Metadata(), Metadata(), details="socket 7 of 10.0.0.3 closed"))
    assert received.reason == kind
    assert "10.0.0.3" not in str(received)


def test_error_info_of_another_domain_is_not_ours() -> None:
    packed = AnyMessage()
    packed.Pack(error_details_pb2.ErrorInfo(reason="QUOTA", domain="elsewhere.example"))
    details = status_pb2.Status(code=8, details=[packed]).SerializeToString()
    failure = AioRpcError(
        grpc.StatusCode.RESOURCE_EXHAUSTED, Metadata(), Metadata(("grpc-status-details-bin", details))
    )
    assert error_of(failure).reason == "RATE_LIMITED"


def test_received_does_not_change_the_class() -> None:
    NotFound.received(reason="USER_NOT_FOUND", message="m", metadata={})
    assert NotFound.reason == "NOT_FOUND"
    assert NotFound().reason == "NOT_FOUND"


def test_the_text_of_an_error_names_its_reason() -> None:
    assert str(PostNotFound()) == "POST_NOT_FOUND: there is no such post"
    assert str(Internal()) == "INTERNAL: something went wrong on our side"
