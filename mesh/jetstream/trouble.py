"""What can be wrong with NATS, in the words of `mesh.errors`."""

from typing import Any

import nats.errors
import nats.js.errors

from mesh.cancellation import raise_if_cancelled
from mesh.errors import Unavailable


class StreamBehind(Exception):
    """A stream ends before a position that was read from it: its data was lost, or restored from an older copy.

    Reading on would skip, in silence, whatever is stored next under the sequences that were read before.
    """


class MessagingUnavailable(Unavailable):
    """NATS is away, or did not acknowledge in time; a publish may have been stored: repeat it with the same id."""

    reason = "MESSAGING_UNAVAILABLE"
    message = "messaging does not answer right now; retry soon"


OUR_FAULT = (
    nats.js.errors.BadRequestError,
    nats.errors.MaxPayloadError,
    nats.errors.BadSubjectError,
    nats.errors.BadHeaderError,
)
"""What no retry can help."""


AWAY = (nats.errors.Error, TimeoutError, ConnectionError, RuntimeError)
"""What nats-py raises when NATS is away; the last is uvloop's word for a connection whose end it has not noticed."""


class translated:  # noqa: N801 - reads as a verb phrase
    """Turn what nats-py raises when NATS is away into `MessagingUnavailable`, and lose no cancellation."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, AWAY) and not isinstance(error, OUR_FAULT):
            raise MessagingUnavailable from error
        if error is None:
            raise_if_cancelled()
