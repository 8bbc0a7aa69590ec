"""What is printed: tables and facts for people, JSON for programs."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

Cell = object


def as_json(*messages: Message) -> None:
    """Print each message as one line of JSON, with the field names of the protos."""
    for message in messages:
        fields = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
        print(json.dumps(fields, ensure_ascii=False))


def facts(pairs: Mapping[str, Cell]) -> None:
    """Print names and values, one pair a line, aligned."""
    width = max((len(name) for name in pairs), default=0)
    for name, value in pairs.items():
        print(f"{name:<{width}}  {value}")


def table(headings: Sequence[str], rows: Iterable[Sequence[Cell]], *, empty: str) -> None:
    """Print rows under headings; numbers stand to the right. Without rows: the sentence `empty`."""
    for line in table_lines(headings, list(rows)) or [empty]:
        print(line)


def table_lines(headings: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[str]:
    """Return a table as lines; none when there are no rows."""
    if not rows:
        return []
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    right = [all(isinstance(row[index], int | float) for row in rows) for index in range(len(headings))]
    return [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in [list(headings), *cells]
    ]


def when(message: Message, name: str) -> str:
    """Return a time field in ISO 8601 to the millisecond, UTC; `-` when it isn't set."""
    if not message.HasField(name):
        return "-"
    moment: Timestamp = getattr(message, name)
    return moment.ToDatetime(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds(message: Message, name: str) -> str:
    """Return a duration field as seconds; `-` when it isn't set."""
    if not message.HasField(name):
        return "-"
    duration: Duration = getattr(message, name)
    return f"{duration.ToTimedelta().total_seconds():.3f} s"


def word(kind: Any, value: int, prefix: str) -> str:
    """Return a value of the enum `kind` as a word without its prefix: `pushed`; `-` for the unspecified one."""
    name: str = kind.Name(value).removeprefix(prefix).lower()
    return "-" if value == 0 else name
