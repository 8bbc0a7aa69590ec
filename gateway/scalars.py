"""Scalars and the texts that people write."""

from datetime import UTC, datetime
from typing import NewType

import strawberry
from google.protobuf.timestamp_pb2 import Timestamp
from strawberry.types.scalar import ScalarDefinition

from gateway.errors import TextInvalid

DateTime = NewType("DateTime", str)
"""A moment, written out already."""


def _no_input(_value: object) -> DateTime:
    raise ValueError("no argument takes a DateTime")


SCALARS: dict[object, ScalarDefinition] = {
    DateTime: strawberry.scalar(
        name="DateTime",
        description="A moment in UTC, to the millisecond: `2026-07-14T09:30:00.000Z` (RFC 3339).",
        specified_by_url="https://scalars.graphql.org/andimarek/date-time",
        serialize=str,
        parse_value=_no_input,
    )
}

MAX_INT = 2**31 - 1


def moment(timestamp: Timestamp) -> DateTime:
    """Write a moment."""
    text = datetime.fromtimestamp(timestamp.seconds, UTC).isoformat()[:19]
    return DateTime(f"{text}.{timestamp.nanos // 1_000_000:03}Z")


def count(value: int) -> int:
    """Return a count within GraphQL's 32-bit Int."""
    return min(value, MAX_INT)


def checked_text(text: str) -> str:
    """Return the text; `TextInvalid` with a NUL or half of a surrogate pair, which no service could store."""
    if "\0" in text or (not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text)):
        raise TextInvalid
    return text
