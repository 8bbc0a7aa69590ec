"""Recomputes what is served from the log and the tables, independently of the code that wrote them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from dm_svc.domain.values import ConversationId, LogEntry, MessageId, MessageSent, UserId


class FindingKind(IntEnum):
    """What is wrong."""

    LOST = 1
    DOUBLED = 2
    OUT_OF_ORDER = 3
    HOLE = 4
    WRONG_UNREAD = 5
    WRONG_HEAD = 6


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: what was computed, and what is served."""

    kind: FindingKind
    conversation_id: str
    user_id: int
    message_id: str
    expected: int
    actual: int


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """A message as the tables have it."""

    conversation_id: ConversationId
    number: int
    message_id: MessageId
    sender_id: UserId
    log_sequence: int
    is_replayed: bool
    """Whether it came from a dead letter, so that its place is the replay's."""


@dataclass(frozen=True, slots=True)
class KeptMember:
    """A member's pointer, and the unread count that is served."""

    conversation_id: ConversationId
    user_id: UserId
    read_number: int
    unread_count: int


@dataclass(frozen=True, slots=True)
class KeptInbox:
    """An inbox's head as it is served, beside what its entries say."""

    user_id: UserId
    head_useq: int
    first_useq: int
    newest: int
    oldest: int
    entries: int


@dataclass(frozen=True, slots=True)
class KeptThread:
    """A conversation as the tables have it."""

    conversation_id: ConversationId
    low_id: UserId
    high_id: UserId
    last_number: int


def check_conversation(
    thread: KeptThread,
    messages: Sequence[KeptMessage],
    members: Iterable[KeptMember],
    log: Iterable[LogEntry],
    dead: frozenset[int],
) -> list[Finding]:
    """Compare a conversation with its log, which may begin late: what is older than the log is kept is not compared."""
    findings = [*_doubled(thread, messages), *_holes(thread, messages), *_unread(thread, messages, members)]
    logged = list(
        dict.fromkeys(
            entry.change.message_id
            for entry in log
            if isinstance(entry.change, MessageSent) and entry.sequence not in dead
        )
    )
    kept = {message.message_id: message for message in messages}
    findings += [_about(FindingKind.LOST, thread, one, 1, 0) for one in logged if one not in kept]
    in_log = set(logged)
    served = [one.message_id for one in messages if one.message_id in in_log and not one.is_replayed]
    expected = [one for one in logged if one in kept and not kept[one].is_replayed]
    findings += [
        _about(FindingKind.OUT_OF_ORDER, thread, right, kept[right].number, kept[wrong].number)
        for right, wrong in zip(expected, list(dict.fromkeys(served)), strict=True)
        if right != wrong
    ]
    return findings


def check_inbox(inbox: KeptInbox) -> list[Finding]:
    """Compare an inbox's head with its entries, and look for holes among them."""
    findings = []
    if inbox.entries and inbox.newest != inbox.head_useq:
        findings.append(_of_inbox(FindingKind.WRONG_HEAD, inbox, inbox.newest, inbox.head_useq))
    if inbox.entries and inbox.oldest != inbox.first_useq:
        findings.append(_of_inbox(FindingKind.HOLE, inbox, inbox.first_useq, inbox.oldest))
    if not inbox.entries and inbox.first_useq <= inbox.head_useq:
        findings.append(_of_inbox(FindingKind.HOLE, inbox, inbox.head_useq - inbox.first_useq + 1, 0))
    span = inbox.newest - inbox.oldest + 1
    if inbox.entries and span != inbox.entries:
        findings.append(_of_inbox(FindingKind.HOLE, inbox, span, inbox.entries))
    return findings


def _doubled(thread: KeptThread, messages: Iterable[KeptMessage]) -> list[Finding]:
    times: Mapping[MessageId, int] = Counter(message.message_id for message in messages)
    return [_about(FindingKind.DOUBLED, thread, one, 1, count) for one, count in times.items() if count > 1]


def _holes(thread: KeptThread, messages: Sequence[KeptMessage]) -> list[Finding]:
    findings = [
        _about(FindingKind.HOLE, thread, message.message_id, expected, message.number)
        for expected, message in enumerate(messages, start=1)
        if message.number != expected
    ]
    if thread.last_number != len(messages):
        findings.append(_about(FindingKind.HOLE, thread, MessageId(""), len(messages), thread.last_number))
    return findings


def _unread(thread: KeptThread, messages: Sequence[KeptMessage], members: Iterable[KeptMember]) -> list[Finding]:
    findings = []
    for member in members:
        counted = sum(one.sender_id != member.user_id and one.number > member.read_number for one in messages)
        if counted != member.unread_count:
            findings.append(
                Finding(
                    FindingKind.WRONG_UNREAD,
                    thread.conversation_id,
                    member.user_id,
                    "",
                    counted,
                    member.unread_count,
                )
            )
    return findings


def _about(kind: FindingKind, thread: KeptThread, message_id: MessageId, expected: int, actual: int) -> Finding:
    return Finding(kind, thread.conversation_id, 0, message_id, expected, actual)


def _of_inbox(kind: FindingKind, inbox: KeptInbox, expected: int, actual: int) -> Finding:
    return Finding(kind, "", inbox.user_id, "", expected, actual)
