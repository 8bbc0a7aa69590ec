"""What callers may write: sizes of pages and batches, texts."""

from collections.abc import Iterable
from typing import TypeVar

from media_svc.errors import BatchTooLarge, LegalHoldReasonRequired, PageSizeInvalid, ReferenceInvalid

T = TypeVar("T")

MAX_REFERENCE_LENGTH = 200
MAX_HOLD_REASON_LENGTH = 500


def checked_reference(text: str) -> str:
    """Return a name that another service gives, 1 to 200 characters."""
    if not 1 <= len(text) <= MAX_REFERENCE_LENGTH or "\0" in text:
        raise ReferenceInvalid(limit=MAX_REFERENCE_LENGTH)
    return text


def checked_hold_reason(text: str) -> str:
    """Return why a hold changes, 1 to 500 characters; `LegalHoldReasonRequired`."""
    if not 1 <= len(text.strip()) <= MAX_HOLD_REASON_LENGTH or "\0" in text:
        raise LegalHoldReasonRequired(limit=MAX_HOLD_REASON_LENGTH)
    return text


def checked_page_size(wanted: int, *, default: int, limit: int) -> int:
    """Return how many entries to give; 0 asks for the default."""
    if not 0 <= wanted <= limit:
        raise PageSizeInvalid(limit=limit)
    return wanted or default


def checked_batch(asked: Iterable[T], *, limit: int) -> list[T]:
    """Return the entries of a batch; `BatchTooLarge` when there are none or too many."""
    entries = list(asked)
    if not 1 <= len(entries) <= limit:
        raise BatchTooLarge(limit=limit)
    return entries
