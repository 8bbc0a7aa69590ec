"""Which posts are pushed into timelines, and which are pulled when feeds are read."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from feed_svc.domain.posts import DeliveryMode, UserId, checked_text
from feed_svc.errors import BatchTooLarge, PolicyInvalid

MAX_THRESHOLD = 1_000_000_000
MAX_HYSTERESIS_PERCENT = 50
MAX_ROLLOUT_PERCENT = 100
MAX_NOTE_LENGTH = 200
MAX_THRESHOLDS = 20


@dataclass(frozen=True, slots=True)
class DeliveryPolicy:
    """One version of the rule."""

    version: int
    pull_threshold: int
    hysteresis_percent: int
    rollout_percent: int
    set_by: str
    note: str
    create_time: datetime

    def counts_for(self, author: UserId) -> bool:
        """Whether the version is rolled out to an author: by a stable hash, so that a wider rollout adds authors."""
        return zlib.crc32(int(author).to_bytes(8, "big")) % 100 < self.rollout_percent

    def decide(self, follower_count: int, last: DeliveryMode | None) -> DeliveryMode:
        """Return how a post is delivered, given the stamp of the author's last one."""
        threshold = self.pull_threshold
        if last is DeliveryMode.PULL:
            # Else an author at the threshold would swing with every follower won or lost.
            threshold = threshold * (100 - self.hysteresis_percent) // 100
        return DeliveryMode.PULL if follower_count >= threshold else DeliveryMode.PUSH


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """What a new version is to be; `None` keeps the value of the newest version."""

    pull_threshold: int | None
    hysteresis_percent: int | None
    rollout_percent: int | None
    note: str


@dataclass(frozen=True, slots=True)
class ThresholdCost:
    """What a threshold would have cost."""

    pull_threshold: int
    pulled_author_count: int
    pushes_per_day: float
    pulls_per_read: float
    max_pushes_per_post: int


def stamp(
    policies: Sequence[DeliveryPolicy], author: UserId, *, follower_count: int, last: DeliveryMode | None
) -> tuple[DeliveryMode, int]:
    """Return how a post is delivered and the policy version that says so; `policies` are newest first.

    The newest version that is rolled out to the author counts; the first one always is.
    """
    policy = next((policy for policy in policies if policy.counts_for(author)), policies[-1])
    return policy.decide(follower_count, last), policy.version


def checked_change(change: PolicyChange) -> PolicyChange:
    """Return the change; `PolicyInvalid` names the first value outside its limits."""
    for field, value, limit in (
        ("pull_threshold", change.pull_threshold, MAX_THRESHOLD),
        ("hysteresis_percent", change.hysteresis_percent, MAX_HYSTERESIS_PERCENT),
        ("rollout_percent", change.rollout_percent, MAX_ROLLOUT_PERCENT),
        ("note", len(change.note), MAX_NOTE_LENGTH),
    ):
        if value is not None and not 0 <= value <= limit:
            raise PolicyInvalid(field=field, limit=limit)
    if "\0" in change.note:
        raise PolicyInvalid(field="note", limit=MAX_NOTE_LENGTH)
    checked_text(change.note, field="note")
    return change


def checked_thresholds(thresholds: Sequence[int]) -> Sequence[int]:
    """Return thresholds to weigh; `BatchTooLarge` unless there are 1 to 20, `PolicyInvalid` for an impossible one."""
    if not 1 <= len(thresholds) <= MAX_THRESHOLDS:
        raise BatchTooLarge(limit=MAX_THRESHOLDS)
    if not all(0 <= threshold <= MAX_THRESHOLD for threshold in thresholds):
        raise PolicyInvalid(field="pull_thresholds", limit=MAX_THRESHOLD)
    return thresholds
