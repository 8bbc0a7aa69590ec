"""Logs with a request id, and Prometheus metrics.

One event has one fixed name and fields: `log.info("post_created", post_id=1)`. Ids may stand in logs; captions, message
text, tokens and presigned URLs may not. Metrics have few labels and never an id.
"""

import logging
import secrets
import sys
from contextvars import ContextVar
from typing import Any, cast

import structlog
from prometheus_client import REGISTRY, CollectorRegistry

from mesh.config import DEVELOPMENT

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The trace id of W3C trace context, 32 hexadecimal digits; the same on every hop of a request."""


def new_request_id() -> str:
    """Return a fresh trace id."""
    return secrets.token_hex(16)


def traceparent() -> str:
    """Return the W3C header for the next hop, with a fresh span id."""
    return f"00-{request_id.get() or new_request_id()}-{secrets.token_hex(8)}-01"


def adopt(traceparent: str | None) -> str:
    """Set the request id from a caller's header, or make one; return it."""
    parts = (traceparent or "").split("-")
    known = len(parts) == 4 and len(parts[1]) == 32 and parts[1] != "0" * 32
    value = parts[1] if known and all(letter in "0123456789abcdef" for letter in parts[1]) else new_request_id()
    request_id.set(value)
    return value


def set_up_logging(environment: str, process: str) -> None:
    """Log to standard error: lines for people in development, one JSON object a line elsewhere."""
    development = environment == DEVELOPMENT
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0)
        if development
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _add_request_id,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if development else [structlog.processors.dict_tracebacks]),
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
