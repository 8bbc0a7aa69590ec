"""Logs with a request id, and Prometheus metrics.

One event has one fixed name and fields: `log.info("post_created", post_id=1)`. Ids may stand in logs; captions, message
text, tokens and presigned URLs may not. Metrics have few labels and never an id.
"""

import logging
import os
import random
import sys
import traceback
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, cast

import structlog
from prometheus_client import REGISTRY, CollectorRegistry

from mesh.config import DEVELOPMENT

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The trace id of W3C trace context, 32 hexadecimal digits; the same on every hop of a request."""

HEX_DIGITS = frozenset("0123456789abcdef")

_draw = random.Random()  # noqa: S311 - these ids are no secrets, and asking the system takes longer than the rest
os.register_at_fork(after_in_child=_draw.seed)


def new_request_id() -> str:
    """Return a fresh trace id."""
    return f"{_draw.getrandbits(128):032x}"


def traceparent() -> str:
    """Return the W3C header for the next hop, with a fresh span id."""
    return f"00-{request_id.get() or new_request_id()}-{_draw.getrandbits(64):016x}-01"


def adopt(traceparent: str | None) -> str:
    """Set the request id from a caller's header, or make one; return it."""
    parts = (traceparent or "").split("-")
    known = len(parts) == 4 and len(parts[1]) == 32 and parts[1] != "0" * 32
    value = parts[1] if known and HEX_DIGITS.issuperset(parts[1]) else new_request_id()
    request_id.set(value)
    return value


def set_up_logging(environment: str, process: str) -> None:
    """Log to standard error: lines for people in development, one JSON object a line elsewhere."""
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0)
        if environment == DEVELOPMENT
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _add_request_id,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _render_exception,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module."""
    return cast(structlog.stdlib.BoundLogger, structlog.get_logger(module=name))


def registry() -> CollectorRegistry:
    """Return the metrics of this process."""
    return REGISTRY


def _add_request_id(_logger: Any, _method: str, fields: Any) -> Any:
    if value := request_id.get():
        fields["request_id"] = value
    return fields


def _render_exception(_logger: Any, _method: str, fields: Any) -> Any:
    # structlog's own renderers show local variables by default, and so tokens and messages.
    found = fields.pop("exc_info", None)
    if isinstance(found, tuple):
        error = found[1]
    else:
        error = found if isinstance(found, BaseException) else sys.exception() if found else None
    if error is not None:
        fields["exception"] = "\n".join(describe(error))
    return fields


def describe(error: BaseException) -> Iterator[str]:
    """Yield lines that tell of an exception in a log: its causes first, where it was raised, its type, what it says."""
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if earlier is not None:
        yield from describe(earlier)
        yield "then:"
    for frame in traceback.extract_tb(error.__traceback__):
        yield f"  {frame.filename}:{frame.lineno} {frame.name}"
    yield brief(error)
    if isinstance(error, BaseExceptionGroup):
        for number, one in enumerate(error.exceptions, start=1):
            yield f"{number} of {len(error.exceptions)}:"
            yield from (f"  {line}" for line in describe(one))


def brief(error: BaseException) -> str:
    """Return an exception's type and the first line of what it says: in the others Postgres quotes the refused row."""
    return f"{type(error).__qualname__}: {str(error).partition(chr(10))[0]}"
