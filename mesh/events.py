"""Events: past-tense facts as protobuf messages that say in their options where they travel.

    option (heliograph.events.v1.subject) = "post.created.{author_id}";
    option (heliograph.events.v1.stream) = "POSTS";

A part in braces is filled from the field of that name; `{partition:02}` pads it with zeros.
"""

import re
from dataclasses import dataclass
from functools import cache

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from heliograph.events.v1 import options_pb2

_PLACE = re.compile(r"\{(\w+)(?::0(\d))?\}")
_UNSAFE = re.compile(r"[\s.*<>]")


@dataclass(frozen=True, slots=True)
class Event:
    """A fact ready to be published."""

    subject: str
    payload: bytes


def event(message: Message) -> Event:
    """Serialise a fact; `ValueError` when it has no subject, or a field that stands in the subject is empty."""
    return Event(subject_of(message), message.SerializeToString())


def subject_of(message: Message) -> str:
    """Return the subject of a fact, its places filled."""
    return _fill(message, _template(message.DESCRIPTOR))


def schedule_subject_of(message: Message) -> str:
    """Return the subject on which a scheduled copy of a fact waits, its places filled."""
    return _fill(message, message.DESCRIPTOR.GetOptions().Extensions[options_pb2.schedule_subject])


def subjects(*kinds: Descriptor) -> tuple[str, ...]:
    """Return the wildcard subjects under which these kinds of facts are found, for streams and consumers."""
    return tuple(
        ".".join("*" if _PLACE.search(token) else token for token in _template(kind).split(".")) for kind in kinds
    )


@cache
def _template(kind: Descriptor) -> str:
    template: str = kind.GetOptions().Extensions[options_pb2.subject]
    return template


def _fill(message: Message, template: str) -> str:
    if not template:
        raise ValueError(f"{message.DESCRIPTOR.full_name} has no subject of this kind")
    return _PLACE.sub(lambda place: _token(message, place[1], int(place[2] or 0)), template)


def _token(message: Message, field: str, width: int) -> str:
    value = str(getattr(message, field)).zfill(width)
    if not value or _UNSAFE.search(value):
        raise ValueError(f"{message.DESCRIPTOR.full_name}.{field} can't stand in a subject")
    return value
