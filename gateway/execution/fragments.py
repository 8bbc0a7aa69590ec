"""Finished JSON of records that don't change, remembered by the very bytes that the record came as.

A post's record (who, what, when) is the same for every viewer, and travels as bytes of its own inside a feed; what
counts or is the viewer's stands beside it. Fields that are made of nothing but the record (`OF_RECORD`) are the same
whenever the bytes are: what is found here is never stale, and a record that was changed has other bytes.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Protocol, runtime_checkable

import orjson

KEPT_BYTES = 32 * 1024 * 1024
ENTRY_BYTES = 1_000
"""What an entry takes beside its texts, roughly."""
OF_RECORD = {"of_record": True}
"""Metadata of a Strawberry field that is made of nothing but its parent's record."""


@runtime_checkable
class Recorded(Protocol):
    """A type some of whose objects bear an undecoded record."""

    def record_bytes(self) -> bytes | None:
        """Return the record as it came; `None` when it was met decoded."""


class Fragments:
    """Answers of the fields of a record, ready to be copied; the least recently used are forgotten."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._most = kept_bytes
        self._known: OrderedDict[Hashable, tuple[dict[str, Any], int]] = OrderedDict()
        self.kept_bytes = 0

    def get(self, key: Hashable) -> dict[str, Any] | None:
        """Return what was put, to be copied and not changed."""
        if (found := self._known.get(key)) is None:
            return None
        self._known.move_to_end(key)
        return found[0]

    def put(self, key: Hashable, record: bytes, answers: dict[str, Any]) -> dict[str, Any]:
        """Remember the answers of fields; return them as JSON that is written already."""
        texts = {name: None if value is None else orjson.dumps(value) for name, value in answers.items()}
        finished = {name: None if text is None else orjson.Fragment(text) for name, text in texts.items()}
        size = ENTRY_BYTES + len(record) + sum(len(text) for text in texts.values() if text)
        self._known[key] = (finished, size)
        self.kept_bytes += size
        while self.kept_bytes > self._most:
            _, (_, freed) = self._known.popitem(last=False)
            self.kept_bytes -= freed
        return finished
