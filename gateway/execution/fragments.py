"""Finished JSON of records that don't change, remembered by the very bytes that the record came as.

A post's record (who, what, when) is the same for every viewer, and travels as bytes of its own inside a feed; what
counts or is the viewer's stands beside it. Fields that are made of nothing but the record (`OF_RECORD`) are the same
whenever the bytes are: what is found here is never stale, and a record that was changed has other bytes.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from itertools import groupby
from typing import Any, ClassVar, NamedTuple

import orjson

KEPT_BYTES = 32 * 1024 * 1024
ENTRY_BYTES = 500
"""What an entry takes beside its record and its text, roughly."""
OF_RECORD = {"of_record": True}
"""Metadata of a Strawberry field that is made of nothing but its parent's record."""


RecordOf = Callable[[Any], object]
"""Returns the record of an object: bytes as they came, or what they were decoded to."""


class Recorded:
    """A type some of whose objects bear an undecoded record."""

    record_of: ClassVar[RecordOf]


class Known(NamedTuple):
    """What is remembered of a record."""

    text: dict[str, Any]
    size: int
    """In bytes."""


class Shelf:
    """What is known of records by their bytes, for one selection."""

    __slots__ = ("_memory", "old", "young")

    def __init__(self, memory: "Fragments") -> None:
        self._memory = memory
        self.young: dict[bytes, Known] = {}
        self.old: dict[bytes, Known] = {}

    def older(self, record: bytes) -> Known | None:
        """Return what was put before the present generation, and keep it in mind."""
        return None if (found := self.old.pop(record, None)) is None else self.put(record, found)

    def put(self, record: bytes, known: Known) -> Known:
        """Remember what is known of a record, and return it."""
        self._memory.make_room(ENTRY_BYTES + len(record) + known.size)
        self.young[record] = known
        return known


class Fragments:
    """All shelves of a process.

    Two generations: what is used moves to the younger one, and when that has half of the bytes the older is forgotten.
    That keeps what is used without writing down each use.
    """

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._half = kept_bytes // 2
        self._young_bytes = 0
        self._shelves: dict[Hashable, Shelf] = {}

    def __len__(self) -> int:
        return sum(len(shelf.young.keys() | shelf.old.keys()) for shelf in self._shelves.values())

    def shelf(self, selection: Hashable) -> Shelf:
        """Return the shelf of a selection, which is named by all that tells its answers from others."""
        if (known := self._shelves.get(selection)) is None:
            self.make_room(ENTRY_BYTES)
            known = self._shelves[selection] = Shelf(self)
        return known

    def make_room(self, size: int) -> None:
        """Count bytes that the younger generation grows by; when it is full it becomes the older one."""
        if self._young_bytes + size > self._half:
            self._young_bytes = 0
            self._shelves = {name: shelf for name, shelf in self._shelves.items() if shelf.young}
            for shelf in self._shelves.values():
                shelf.old, shelf.young = shelf.young, {}
        self._young_bytes += size


def written(keys: Iterable[str], answers: Mapping[str, Any]) -> Known:
    """Return an object with its known fields as JSON: those that stand beside each other in the answer are one text,
    under the key of the first. The others are `None`.
    """
    text, size = dict[str, Any](), 0
    for is_known, side_by_side in groupby(keys, answers.__contains__):
        if not is_known:
            text |= dict.fromkeys(side_by_side)
            continue
        first, *more = side_by_side
        members = [
            orjson.dumps(answers[first]),
            *(b'"%b":%b' % (key.encode(), orjson.dumps(answers[key])) for key in more),
        ]
        size += len(joined := b",".join(members))
        text[first] = orjson.Fragment(joined)
    return Known(text, size)
