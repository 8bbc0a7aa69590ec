"""Pieces of a post's fan-out."""

from dataclasses import dataclass
from enum import IntEnum

from feed_svc.domain.posts import PostId, UserId


class Phase(IntEnum):
    """Which followers a chunk walks through."""

    ACTIVE = 1
    REST = 2


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a post's fan-out: the followers behind `after`."""

    post_id: PostId
    author_id: UserId
    policy_version: int
    lane: int
    phase: Phase
    after: int
