"""Finished JSON of records that don't change, remembered by the very bytes that the record came as.

A post's record (who, what, when) is the same for every viewer, and travels as bytes of its own inside a feed; what
counts or is the viewer's stands beside it. Fields that are made of nothing but the record (`OF_RECORD`) are the same
whenever the bytes are: what is found here is never stale, and a record that was changed has other bytes.
"""

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
    """Answers of the fields of a record, ready to be copied.

    Two generations: what is used moves to the younger one, and when that has half of the bytes the older is forgotten.
    That keeps what is used without writing down each use.
    """

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._half = kept_bytes // 2
        self._young: dict[Hashable, tuple[dict[str, Any], int]] = {}
        self._old: dict[Hashable, tuple[dict[str, Any], int]] = {}
        self._young_bytes = 0

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())

    def get(self, key: Hashable) -> dict[str, Any] | None:
        """Return what was put, to be copied and not changed."""
        if (found := self._young.get(key)) is None:
            if (found := self._old.pop(key, None)) is None:
                return None
            self._keep(key, *found)
        return found[0]

    def put(self, key: Hashable, record: bytes, answers: dict[str, Any]) -> dict[str, Any]:
        """Remember the answers of fields; return them as JSON that is written already."""
        texts = {name: None if value is None else orjson.dumps(value) for name, value in answers.items()}
        finished = {name: None if text is None else orjson.Fragment(text) for name, text in texts.items()}
        self._keep(key, finished, ENTRY_BYTES + len(record) + sum(len(text) for text in texts.values() if text))
        return finished

    def _keep(self, key: Hashable, finished: dict[str, Any], size: int) -> None:
        if self._young_bytes + size > self._half:
            self._old, self._young, self._young_bytes = self._young, {}, 0
        self._young[key] = (finished, size)
        self._young_bytes += size
