"""The delivery stamp: threshold, hysteresis, rollout."""

from datetime import UTC, datetime

import pytest

from feed_svc.domain import DeliveryMode, DeliveryPolicy, PolicyChange, UserId, checked_change, stamp
from feed_svc.errors import PolicyInvalid

PUSH, PULL = DeliveryMode.PUSH, DeliveryMode.PULL


def policy(version: int, threshold: int, *, rollout: int = 100) -> DeliveryPolicy:
    return DeliveryPolicy(version, threshold, 10, rollout, "cli", "", datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("followers", "last", "expected"),
    [(99, None, PUSH), (100, None, PULL), (99, PULL, PULL), (90, PULL, PULL), (89, PULL, PUSH), (99, PUSH, PUSH)],
)
def test_an_author_near_the_threshold_does_not_swing(followers: int, last, expected) -> None:
    assert policy(1, 100).decide(followers, last) is expected


def test_who_is_outside_of_a_rollout_stays_with_the_version_before() -> None:
    policies = [policy(2, 0, rollout=30), policy(1, 100)]
    versions = [stamp(policies, UserId(author), follower_count=5, last=None)[1] for author in range(2_000)]
    assert 450 < versions.count(2) < 750
    wider = [policy(2, 0, rollout=60), policy(1, 100)]
    after = [stamp(wider, UserId(author), follower_count=5, last=None)[1] for author in range(2_000)]
    assert all(late == 2 for early, late in zip(versions, after, strict=True) if early == 2)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (PolicyChange(-1, None, None, ""), "pull_threshold"),
        (PolicyChange(None, 51, None, ""), "hysteresis_percent"),
        (PolicyChange(None, None, 101, ""), "rollout_percent"),
        (PolicyChange(None, None, None, "x" * 201), "note"),
    ],
)
def test_a_value_outside_its_limits_is_named(change: PolicyChange, field: str) -> None:
    with pytest.raises(PolicyInvalid) as refused:
        checked_change(change)
    assert refused.value.metadata["field"] == field
