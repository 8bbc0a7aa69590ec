"""What the log does to conversations, against a plain model of a conversation."""

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from dm_svc.domain.fold import Changes, Loaded, fold
from dm_svc.domain.rules import conversation_of, message_id_of
from dm_svc.domain.values import (
    ConversationRead,
    EntryKind,
    KnownKey,
    LogEntry,
    MemberState,
    MessageSent,
    MessageTakenBack,
    RequestDecided,
    UserId,
)

PEOPLE = (UserId(1), UserId(2), UserId(3))
START = datetime(2026, 5, 1, tzinfo=UTC)

actions = st.lists(
    st.tuples(
        st.sampled_from(["send", "send", "send", "resend", "take_back", "read", "decide"]),
        st.permutations(PEOPLE).map(lambda order: order[:2]),
        st.integers(0, 12),
        st.booleans(),
    ),
    max_size=60,
)
cuts = st.lists(st.integers(1, 7), min_size=60, max_size=60)


class Tables:
    """What Postgres would hold."""

    def __init__(self):
        self.threads, self.messages, self.inboxes = {}, {}, defaultdict(list)

    def load(self, entries) -> Loaded:
        by_place = {(one.conversation_id, one.number): one.low_count for one in self.messages.values()}
        return Loaded(
            threads={
                one.conversation_id: self.threads[one.conversation_id]
                for one in entries
                if one.conversation_id in self.threads
            },
            keys={
                key: KnownKey(key, one.conversation_id, one.number, one.body_digest)
                for key, one in self.messages.items()
            },
            messages={key: replace(one) for key, one in self.messages.items()},
            low_counts=by_place,
        )

    def write(self, changes: Changes) -> None:
        self.threads.update(changes.threads)
        for key, message in changes.messages.items():
            assert key not in self.messages, "doubled"
            self.messages[key] = message
        for key, message in changes.unsent.items():
            self.messages[key] = replace(message, body_digest=self.messages[key].body_digest)
        for entry in changes.inbox:
            self.inboxes[entry.user_id].append(entry)


def log_of(plan) -> list[LogEntry]:
    entries = []
    for sequence, (kind, (actor, other), number, flag) in enumerate(plan, start=1):
        key = f"k{sequence}" if kind == "send" else f"k{number}"
        match kind:
            case "send" | "resend":
                change = MessageSent(message_id_of(actor, key), key, f"text {key}", None, key.encode(), is_request=flag)
            case "take_back":
                change = MessageTakenBack(message_id_of(actor, key))
            case "read":
                change = ConversationRead(number + 1)
            case _:
                change = RequestDecided(flag)
        moment = START + timedelta(seconds=sequence)
        entries.append(LogEntry(sequence, str(sequence), conversation_of(actor, other), actor, other, moment, change))
    return entries


def run(entries, sizes) -> Tables:
    tables, place = Tables(), 0
    for size in sizes:
        batch = entries[place : place + size]
        place += size
        if batch:
            tables.write(fold(batch, tables.load(batch)))
    assert place >= len(entries)
    return tables


@given(plan=actions, sizes=cuts)
@settings(max_examples=150, deadline=None)
def test_M6_numbers_are_contiguous_and_unread_counts_equal_a_recount(plan, sizes):
    tables = run(log_of(plan), sizes)
    for thread in tables.threads.values():
        messages = sorted(
            (one for one in tables.messages.values() if one.conversation_id == thread.conversation_id),
            key=lambda one: one.number,
        )
        assert [one.number for one in messages] == list(range(1, thread.last_number + 1))
        assert [one.log_sequence for one in messages] == sorted(one.log_sequence for one in messages)
        for member in thread.members.values():
            recount = sum(one.sender_id != member.user_id and one.number > member.read_number for one in messages)
            assert thread.unread(member) == recount
        for message in messages:
            assert bool(message.content) == (message.unsend_time is None)


@given(plan=actions, sizes=cuts)
@settings(max_examples=100, deadline=None)
def test_M1_the_same_log_gives_the_same_tables_however_it_is_cut_into_batches(plan, sizes):
    entries = log_of(plan)
    one, other = run(entries, sizes), run(entries, [max(len(entries), 1)])
    assert one.threads == other.threads
    assert one.inboxes == other.inboxes
    assert {key: message.number for key, message in one.messages.items()} == {
        key: message.number for key, message in other.messages.items()
    }


@given(plan=actions, sizes=cuts)
@settings(max_examples=100, deadline=None)
def test_M7_only_members_are_told_and_nobody_is_told_twice(plan, sizes):
    entries = log_of(plan)
    tables = run(entries, sizes)
    actors = {entry.sequence: {entry.actor_id, entry.other_id} for entry in entries}
    for user_id, told in tables.inboxes.items():
        assert all(user_id in actors[entry.log_sequence] for entry in told)
        times = Counter((entry.kind, entry.log_sequence) for entry in told)
        assert set(times.values()) <= {1}
        assert [entry.log_sequence for entry in told] == sorted(entry.log_sequence for entry in told)


def test_a_requester_is_not_told_what_was_read_or_decided():
    ann, ben = PEOPLE[:2]
    plan = [("send", (ann, ben), 0, True), ("read", (ben, ann), 0, False), ("decide", (ben, ann), 0, False)]
    tables = run(log_of(plan), [1, 1, 1])
    assert {entry.kind for entry in tables.inboxes[ann]} == {EntryKind.MESSAGE}
    assert tables.threads["1-2"].members[ben].state is MemberState.IGNORED


def test_the_same_key_for_two_people_sets_the_second_aside():
    ann, ben, cid = PEOPLE
    first, second = (
        LogEntry(
            sequence, "m", conversation_of(ann, other), ann, other, START,
            MessageSent(message_id_of(ann, "k"), "k", "text", None, bytes([other]), is_request=False),
        )
        for sequence, other in ((1, ben), (2, cid))
    )  # fmt: skip
    changes = fold([first, second], Tables().load([first, second]))
    assert [refused.entry for refused in changes.refused] == [second]
    assert len(changes.messages) == 1
