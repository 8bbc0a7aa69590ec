"""What is known of an object before it is loaded: most often its id, which whoever refers to it has.

An app that keeps the people it has met asks for no more of the sender of a message; so that takes no call, and the
event goes the short way (`push`).
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

AT_HAND = "at_hand"
"""Under which name the metadata of a Strawberry field has it."""


@dataclass(frozen=True, slots=True)
class AtHand:
    """What `make` returns for a parent answers these fields as the loaded object would."""

    fields: frozenset[str]
    make: Callable[[Any], Any]


def at_hand(fields: Collection[str], make: Callable[[Any], Any]) -> dict[str, AtHand]:
    """Return metadata for a field: a selection of no more than `fields` needs nothing but what `make` returns."""
    return {AT_HAND: AtHand(frozenset(fields) | {"__typename"}, make)}
