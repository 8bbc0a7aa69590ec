"""What nats-py raises, in the words of the mesh."""

import nats.errors
import pytest

from mesh.jetstream import MessagingUnavailable
from mesh.jetstream.trouble import translated

CLOSED = RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")
"""As uvloop raises it when something is written in the moment between the end of a connection and nats-py's notice."""


@pytest.mark.parametrize("error", [CLOSED, nats.errors.ConnectionClosedError(), TimeoutError(), ConnectionResetError()])
def test_nats_that_is_away_is_unavailable(error: Exception) -> None:
    with pytest.raises(MessagingUnavailable), translated():
        raise error


@pytest.mark.parametrize("error", [nats.errors.BadSubjectError(), nats.errors.MaxPayloadError(), ValueError("no")])
def test_what_no_retry_can_help_stays_what_it_is(error: Exception) -> None:
    with pytest.raises(type(error)), translated():
        raise error
