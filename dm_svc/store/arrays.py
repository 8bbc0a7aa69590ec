"""Array literals of Postgres.

psycopg looks at every element of a list for its type and for characters that need quotes: 0.6 us each, and a message
takes some fifty of them, the dearest part of writing it. Here the caller knows the type.
"""

from collections.abc import Iterable
from datetime import datetime

HEX = '"\\\\x'
"""How a quoted byte string begins."""


def integers(values: Iterable[int]) -> str:
    """Return an array of integers; of booleans and enums their numbers."""
    return f"{{{','.join([f'{value:d}' for value in values])}}}"


def texts(values: Iterable[str | None]) -> str:
    """Return an array of texts, whatever stands in them."""
    return f"{{{','.join(['NULL' if value is None else _quoted(value) for value in values])}}}"


def times(values: Iterable[datetime | None]) -> str:
    """Return an array of moments."""
    return f"{{{','.join(['NULL' if value is None else value.isoformat() for value in values])}}}"


def byte_strings(values: Iterable[bytes]) -> str:
    """Return an array of byte strings."""
    quoted = [f'{HEX}{value.hex()}"' for value in values]
    return f"{{{','.join(quoted)}}}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
