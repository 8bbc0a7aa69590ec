"""Limits of requests: page sizes, batches, idempotency keys."""

from collections.abc import Sequence
from typing import TypeVar

from feed_svc.errors import BatchTooLarge, PageSizeInvalid, RequestIdInvalid

T = TypeVar("T")

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 50
DEFAULT_EDGE_PAGE_SIZE = 1_000
MAX_EDGE_PAGE_SIZE = 10_000
DEFAULT_BLOCK_PAGE_SIZE = 100
MAX_BLOCK_PAGE_SIZE = 1_000
DEFAULT_EXPLAIN_SIZE = 50
MAX_EXPLAIN_SIZE = 300
MAX_REQUEST_ID_LENGTH = 64


def checked_size(size: int, *, default: int, limit: int) -> int:
    """Return a size, 0 meaning the default; `PageSizeInvalid` below 0 or above the limit."""
    if size == 0:
        return default
    if not 1 <= size <= limit:
        raise PageSizeInvalid(limit=limit)
    return size


def checked_page_size(page_size: int) -> int:
    """Return the size of a page of posts: 1 to 50, 20 by default."""
    return checked_size(page_size, default=DEFAULT_PAGE_SIZE, limit=MAX_PAGE_SIZE)


def checked_edge_page_size(page_size: int) -> int:
    """Return the size of a page of edges: 1 to 10,000, 1,000 by default."""
    return checked_size(page_size, default=DEFAULT_EDGE_PAGE_SIZE, limit=MAX_EDGE_PAGE_SIZE)


def checked_block_page_size(page_size: int) -> int:
    """Return the size of a page of blocked people: 1 to 1,000, 100 by default."""
    return checked_size(page_size, default=DEFAULT_BLOCK_PAGE_SIZE, limit=MAX_BLOCK_PAGE_SIZE)


def checked_explain_size(page_size: int) -> int:
    """Return the size of a page of explanations: 1 to 300, 50 by default."""
    return checked_size(page_size, default=DEFAULT_EXPLAIN_SIZE, limit=MAX_EXPLAIN_SIZE)


def checked_batch(entries: Sequence[T], *, limit: int, may_be_empty: bool = False) -> Sequence[T]:
    """Return the entries; `BatchTooLarge` when there are none (unless they may be) or more than `limit`."""
    if len(entries) > limit or not (entries or may_be_empty):
        raise BatchTooLarge(limit=limit)
    return entries


def checked_request_id(request_id: str) -> str:
    """Return the idempotency key; `RequestIdInvalid` unless it has 1 to 64 printable ASCII characters."""
    is_plain = request_id.isascii() and request_id.isprintable()
    if not 1 <= len(request_id) <= MAX_REQUEST_ID_LENGTH or not is_plain:
        raise RequestIdInvalid(limit=MAX_REQUEST_ID_LENGTH)
    return request_id
