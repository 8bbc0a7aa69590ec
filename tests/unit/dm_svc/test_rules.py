"""Names that are derived, limits, and who may write to whom."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dm_svc.domain import rules
from dm_svc.domain.values import Audience, MemberState, Relation, SendState, UserId
from dm_svc.domain.verify import KeptInbox, check_inbox
from dm_svc.errors import MessageRequestLimitReached, MessagesNotAccepted, RateLimited, RecipientNotFound, TextInvalid
from dm_svc.usecases.limit_rate import LimitRate
from mesh.clock import ManualClock, from_ms

user_ids = st.integers(1, 2**63 - 1).map(UserId)
FRIEND = Relation(recipient_exists=True, recipient_follows_sender=True, is_blocked=False)
STRANGER = Relation(recipient_exists=True, recipient_follows_sender=False, is_blocked=False)
NEW = SendState(None, None, Audience.EVERYONE, 0)


@given(one=user_ids, other=user_ids)
def test_a_conversation_is_the_same_in_both_directions(one, other):
    if one == other:
        return
    conversation = rules.conversation_of(one, other)
    assert conversation == rules.conversation_of(other, one)
    assert rules.members_of(conversation) == tuple(sorted((one, other)))
    assert rules.other_of(conversation, one) == other
    assert 0 <= rules.partition_of(conversation, 8) < 8


def test_the_map_from_conversation_to_partition_never_changes():
    placed = [rules.partition_of(rules.conversation_of(UserId(1), UserId(other)), 8) for other in range(2, 12)]
    assert placed == [2, 4, 7, 1, 3, 5, 4, 2, 5, 3]


@given(text=st.text())
def test_what_is_no_conversation_has_no_members(text):
    members = rules.members_of(text)
    assert members is None or rules.conversation_of(*members) == text


@given(st.integers(1, 2**63 - 1), st.text(st.characters(codec="ascii"), max_size=64))
def test_ids_of_messages_are_uuids_by_name(sender, key):
    """And the same for ever: a retry must get the id of the first call."""
    namespace = uuid.UUID("6c4c7a0e-2f0e-5b77-9a57-3f1d2c8e4b10")
    assert rules.message_id_of(UserId(sender), key) == str(uuid.uuid5(namespace, f"message:{sender}:{key}"))


@pytest.mark.parametrize("content", ["a\0", "\ud800", "x\udfffy"])
def test_nul_and_lone_surrogates_are_refused(content):
    with pytest.raises(TextInvalid):
        rules.checked_content(content, has_photo=False)


@given(
    parts=st.tuples(st.text(max_size=5), st.text(max_size=5)),
    others=st.tuples(st.text(max_size=5), st.text(max_size=5)),
)
def test_two_bodies_have_the_same_digest_only_when_they_are_the_same(parts, others):
    same = rules.body_digest(UserId(1), *parts) == rules.body_digest(UserId(1), *others)
    assert same == (parts == others)


@pytest.mark.parametrize(
    ("relation", "state", "expected"),
    [
        (FRIEND, NEW, False),
        (STRANGER, NEW, True),
        (STRANGER, SendState(MemberState.ACTIVE, MemberState.ACTIVE, Audience.NOBODY, 99), False),
        (FRIEND, SendState(None, None, Audience.FOLLOWEES, 0), False),
        (STRANGER, SendState(None, None, Audience.FOLLOWEES, 0), MessagesNotAccepted),
        (FRIEND, SendState(None, None, Audience.NOBODY, 0), MessagesNotAccepted),
        (STRANGER, SendState(MemberState.ACTIVE, MemberState.REQUESTED, Audience.EVERYONE, 4), True),
        (
            STRANGER,
            SendState(MemberState.ACTIVE, MemberState.IGNORED, Audience.EVERYONE, 5),
            MessageRequestLimitReached,
        ),
        (Relation(recipient_exists=False, recipient_follows_sender=False, is_blocked=False), NEW, RecipientNotFound),
        (Relation(recipient_exists=True, recipient_follows_sender=True, is_blocked=True), NEW, RecipientNotFound),
    ],
)
def test_who_may_write_to_whom(relation, state, expected):
    if isinstance(expected, bool):
        assert rules.is_request(relation, state) is expected
    else:
        with pytest.raises(expected):
            rules.is_request(relation, state)


def test_a_person_who_is_too_fast_is_told_when_to_come_back():
    clock = ManualClock(from_ms(1_000_000))
    limit = LimitRate(clock, per_second=10, burst=3)
    for _ in range(3):
        limit(UserId(1))
    with pytest.raises(RateLimited) as refused:
        limit(UserId(1))
    limit(UserId(2))
    from datetime import timedelta

    clock.move(timedelta(milliseconds=int(refused.value.metadata["retry_after_ms"])))
    limit(UserId(1))


@pytest.mark.parametrize(
    ("inbox", "findings"),
    [
        (KeptInbox(UserId(1), 5, 1, 5, 1, 5), 0),
        (KeptInbox(UserId(1), 5, 3, 5, 3, 3), 0),
        (KeptInbox(UserId(1), 5, 6, 0, 0, 0), 0),
        (KeptInbox(UserId(1), 5, 1, 4, 1, 4), 1),
        (KeptInbox(UserId(1), 5, 1, 5, 1, 4), 1),
        (KeptInbox(UserId(1), 5, 1, 0, 0, 0), 1),
    ],
)
def test_an_inbox_is_checked_against_its_entries(inbox, findings):
    assert len(check_inbox(inbox)) == findings
