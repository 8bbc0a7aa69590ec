"""Home feeds: what stands in one, in which order, and why."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from itertools import pairwise

from feed_svc.domain.people import AuthorSummary
from feed_svc.domain.posts import DeliveryMode, PostId, Record, UserId

FIRST_POSITION = PostId(2**63 - 1)
"""Before every post: where a feed begins."""
COMPLETE = PostId(0)
"""The floor of a timeline that holds everything: no post lies below it."""


@dataclass(frozen=True, slots=True)
class Home:
    """What Redis says of a viewer's feed below a position. A `floor` of `None`: there is no timeline."""

    floor: PostId | None
    """From this post on down the timeline knows nothing; `COMPLETE` when it holds everything."""
    post_ids: tuple[PostId, ...]
    """Above the floor, newest first, at most as many as were asked for."""
    is_cut: bool
    """Whether the timeline may hold further posts below these."""
    generation: int | None
    """Which state of the viewer's own doing it reflects."""
    pulled: frozenset[UserId]
    """Followed authors whose posts are pulled, as of `pulled_ms`."""
    pulled_ms: int
    life_ms: int
    """How long it lives unless it is read."""
    page: tuple[PostId, ...] | None
    """Ids of the first page as it was pulled less than half a minute ago; only without a timeline."""
    page_generation: int

    @property
    def is_usable(self) -> bool:
        """Whether there is a finished timeline."""
        return self.floor is not None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a post stands to a viewer at this moment."""

    post_id: PostId
    author_id: UserId
    is_deleted: bool
    is_followed: bool
    is_hidden: bool
    viewer_has_liked: bool
    like_count: int
    generation: int
    """The viewer's, the same in all standings of one look."""


@dataclass(frozen=True, slots=True)
class PostView:
    """A post as one viewer sees it now."""

    record: Record
    author: AuthorSummary
    like_count: int
    viewer_has_liked: bool

    @property
    def post_id(self) -> PostId:
        """The post."""
        return self.record.post_id


@dataclass(frozen=True, slots=True)
class Page:
    """Some posts, newest first, and where to go on; `next_before` is `None` at the end."""

    views: tuple[PostView, ...]
    next_before: PostId | None
    is_stale: bool = False


class EntrySource(IntEnum):
    """How a post got into a feed."""

    PUSHED = 1
    PULLED = 2
    BACKFILLED = 3
    REBUILT = 4
    BELOW_FLOOR = 5
    OWN = 6


class DropRule(IntEnum):
    """Which rule keeps a post out of a feed."""

    NONE = 0
    DELETED = 1
    NOT_FOLLOWED = 2
    BLOCKED = 3
    AUTHOR_GONE = 4


@dataclass(frozen=True, slots=True)
class PostFacts:
    """What the explanation of a post needs beside its standing."""

    post_id: PostId
    author_id: UserId
    create_time: datetime
    delivery_mode: DeliveryMode
    policy_version: int
    fan_out_seconds: float | None
    follow_time: datetime | None
    author_exists: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a post is, or isn't, in a feed."""

    facts: PostFacts
    source: EntrySource
    dropped_by: DropRule


@dataclass(frozen=True, slots=True)
class TimelineState:
    """What is stored of a person's timeline."""

    exists: bool
    entry_count: int
    floor_time: datetime | None
    build_time: datetime | None
    last_read_time: datetime | None
    pulled_author_count: int


class DifferenceKind(IntEnum):
    """What is wrong with a post of a served feed."""

    MISSING = 1
    EXTRA = 2
    DOUBLED = 3
    OUT_OF_ORDER = 4


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between a served feed and the oracle."""

    user_id: UserId
    post_id: PostId
    kind: DifferenceKind


def is_visible(standing: Standing, viewer: UserId) -> bool:
    """Whether a post stands in the viewer's feed: not deleted, no block, of somebody followed or one's own."""
    return drop_rule(standing, viewer) is DropRule.NONE


def drop_rule(standing: Standing, viewer: UserId) -> DropRule:
    """Return the rule that keeps a post out of the viewer's feed, if any."""
    if standing.is_deleted:
        return DropRule.DELETED
    if standing.is_hidden:
        return DropRule.BLOCKED
    if standing.author_id != viewer and not standing.is_followed:
        return DropRule.NOT_FOLLOWED
    return DropRule.NONE


def merge_newest_first(*sources: Sequence[PostId]) -> list[PostId]:
    """Merge lists that are newest first into one, each id once."""
    # For a few dozen ids faster than a merge of sorted lists.
    return sorted(frozenset[PostId]().union(*sources), reverse=True)


def entry_source(
    facts: PostFacts, viewer: UserId, *, stored: Collection[PostId], build_time: datetime | None
) -> EntrySource:
    """Return how a post got into a feed; `stored` are the posts of the timeline, `build_time` is when it was made."""
    if facts.author_id == viewer:
        return EntrySource.OWN
    if facts.post_id not in stored or build_time is None:
        return EntrySource.PULLED if facts.delivery_mode is DeliveryMode.PULL else EntrySource.BELOW_FLOOR
    if facts.follow_time is not None and facts.create_time < facts.follow_time and build_time < facts.follow_time:
        return EntrySource.BACKFILLED
    if facts.create_time < build_time:
        return EntrySource.REBUILT
    return EntrySource.PULLED if facts.delivery_mode is DeliveryMode.PULL else EntrySource.PUSHED


def compare(
    user_id: UserId,
    served: Sequence[PostId],
    *,
    oracle_before: Sequence[PostId],
    oracle_after: Sequence[PostId],
    under_way: Collection[PostId],
    depth: int,
) -> list[Difference]:
    """Return what is wrong with a feed that was served between two looks at the oracle, newest first.

    A post counts as missing only if both looks have it and its fan-out is over, as extra only if neither has it.
    All three were cut at `depth`, so nothing is said about what lies below the shortest of them.
    """
    end = max((ids[depth - 1] for ids in (served, oracle_before, oracle_after) if len(ids) >= depth), default=0)
    known = set(oracle_before) | set(oracle_after)
    shown = set(served)
    still_there = set(oracle_after)
    found = [
        Difference(user_id, post_id, DifferenceKind.MISSING)
        for post_id in oracle_before
        if post_id in still_there and post_id >= end and post_id not in shown and post_id not in under_way
    ]
    found += [
        Difference(user_id, post_id, DifferenceKind.EXTRA)
        for post_id in dict.fromkeys(served)
        if post_id >= end and post_id not in known
    ]
    found += [
        Difference(user_id, post_id, DifferenceKind.DOUBLED) for post_id, times in Counter(served).items() if times > 1
    ]
    found += [
        Difference(user_id, later, DifferenceKind.OUT_OF_ORDER)
        for earlier, later in pairwise(served)
        if later > earlier
    ]
    return sorted(found, key=lambda difference: difference.post_id, reverse=True)
