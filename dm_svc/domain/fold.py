"""What log entries do to conversations.

The log is read in order by one owner a partition. `fold` takes what the tables hold and the next entries, and
returns everything that changes, so that one transaction writes it together with the position. It is deterministic:
the same log always gives the same numbers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from dm_svc.domain.rules import members_of, photo_reference, unread_count
from dm_svc.domain.values import (
    ConversationId,
    ConversationRead,
    EntryKind,
    KnownKey,
    LogEntry,
    MemberState,
    MessageId,
    MessageSent,
    MessageTakenBack,
    Photo,
    RequestDecided,
    UserId,
)


@dataclass(slots=True)
class Membership:
    """A conversation as one member has it, while entries are folded."""

    user_id: UserId
    other_id: UserId
    state: MemberState
    read_number: int
    read_received: int
    update_time: datetime


@dataclass(slots=True)
class Thread:
    """A conversation while entries are folded."""

    conversation_id: ConversationId
    low_id: UserId
    high_id: UserId
    last_number: int = 0
    low_count: int = 0
    members: dict[UserId, Membership] = field(default_factory=dict)

    def count_of(self, user_id: UserId) -> int:
        """Return how many messages a member has written."""
        return self.low_count if user_id == self.low_id else self.last_number - self.low_count

    def unread(self, member: Membership) -> int:
        """Return a member's unread messages."""
        return unread_count(received=self.count_of(member.other_id), read_received=member.read_received)


@dataclass(slots=True)
class StoredMessage:
    """A message to be written, or one of the tables that an entry refers to."""

    conversation_id: ConversationId
    number: int
    message_id: MessageId
    sender_id: UserId
    client_message_id: str
    content: str
    photo: Photo | None
    body_digest: bytes
    low_count: int
    log_sequence: int
    send_time: datetime
    unsend_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewInboxEntry:
    """An inbox entry that has no `useq` yet."""

    user_id: UserId
    kind: EntryKind
    conversation_id: ConversationId
    number: int
    actor_id: UserId
    unread_count: int
    is_accepted: bool
    log_sequence: int


@dataclass(frozen=True, slots=True)
class Erasure:
    """What remains to be removed of a message that was taken back."""

    log_sequence: int
    conversation_id: ConversationId
    upload_id: str | None
    reference: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry that can't be folded, and why."""

    entry: LogEntry
    reason: str


@dataclass(slots=True)
class Loaded:
    """What the tables hold about some entries."""

    threads: dict[ConversationId, Thread]
    keys: Mapping[MessageId, KnownKey]
    """Messages of these ids that are stored."""
    messages: dict[MessageId, StoredMessage]
    """Stored messages that entries want to take back."""
    low_counts: Mapping[tuple[ConversationId, int], int]
    """`low_count` of stored messages up to which entries read."""


@dataclass(slots=True)
class Changes:
    """What is to be written."""

    threads: dict[ConversationId, Thread] = field(default_factory=dict)
    messages: dict[MessageId, StoredMessage] = field(default_factory=dict)
    """New ones."""
    unsent: dict[MessageId, StoredMessage] = field(default_factory=dict)
    """Stored ones that were taken back."""
    inbox: list[NewInboxEntry] = field(default_factory=list)
    erasures: list[Erasure] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def fold(entries: Sequence[LogEntry], loaded: Loaded) -> Changes:
    """Apply entries in order; `loaded.threads` are changed in place."""
    folding = _Folding(loaded, Changes(), {})
    for entry in entries:
        folding.apply(entry)
    return folding.changes


def read_points(entries: Iterable[LogEntry]) -> list[tuple[ConversationId, int]]:
    """Return the places up to which entries read."""
    return [
        (entry.conversation_id, entry.change.up_to_number)
        for entry in entries
        if isinstance(entry.change, ConversationRead)
    ]


@dataclass(slots=True)
class _Folding:
    loaded: Loaded
    changes: Changes
    low_counts: dict[tuple[ConversationId, int], int]
    """Of the messages that are new in these entries."""

    def apply(self, entry: LogEntry) -> None:
        thread = self.loaded.threads.get(entry.conversation_id)
        if thread is None:
            thread = _new_thread(entry.conversation_id)
        match entry.change:
            case MessageSent():
                applied = self._send(thread, entry, entry.change)
            case MessageTakenBack():
                applied = self._take_back(thread, entry, entry.change)
            case ConversationRead():
                applied = self._read(thread, entry, entry.change)
            case RequestDecided():
                applied = self._decide(thread, entry, entry.change)
        # A conversation comes into being with its first message; other entries about none have no effect.
        if applied or thread.members:
            self.loaded.threads[thread.conversation_id] = thread
            self.changes.threads[thread.conversation_id] = thread

    def _send(self, thread: Thread, entry: LogEntry, sent: MessageSent) -> bool:
        if (known := self._known(sent.message_id)) is not None:
            # A retry from beyond the log's own memory: the first one counts.
            if known != (entry.conversation_id, sent.body_digest):
                self.changes.refused.append(Refused(entry, "the key of the message was used for another message"))
            return False
        thread.last_number += 1
        thread.low_count += entry.actor_id == thread.low_id
        self.low_counts[entry.conversation_id, thread.last_number] = thread.low_count
        self.changes.messages[sent.message_id] = StoredMessage(
            conversation_id=entry.conversation_id,
            number=thread.last_number,
            message_id=sent.message_id,
            sender_id=entry.actor_id,
            client_message_id=sent.client_message_id,
            content=sent.content,
            photo=sent.photo,
            body_digest=sent.body_digest,
            low_count=thread.low_count,
            log_sequence=entry.sequence,
            send_time=entry.accept_time,
        )
        sender = _member(thread, entry.actor_id, entry, MemberState.ACTIVE)
        # Who writes takes part: to answer a request is to accept it.
        sender.state = MemberState.ACTIVE
        recipient = _member(
            thread, entry.other_id, entry, MemberState.REQUESTED if sent.is_request else MemberState.ACTIVE
        )
        if recipient.state is MemberState.REQUESTED and not sent.is_request:
            recipient.state = MemberState.ACTIVE
        for member in (sender, recipient):
            member.update_time = max(member.update_time, entry.accept_time)
        self._tell(thread, sender, EntryKind.MESSAGE, entry, thread.last_number)
        if recipient.state is not MemberState.IGNORED:
            self._tell(thread, recipient, EntryKind.MESSAGE, entry, thread.last_number)
        return True

    def _take_back(self, thread: Thread, entry: LogEntry, change: MessageTakenBack) -> bool:
        new = self.changes.messages.get(change.message_id)
        message = new or self.changes.unsent.get(change.message_id) or self.loaded.messages.get(change.message_id)
        if message is None or message.unsend_time is not None:
            return False
        if (message.conversation_id, message.sender_id) != (entry.conversation_id, entry.actor_id):
            self.changes.refused.append(Refused(entry, "only its sender can take a message back"))
            return False
        photo = message.photo
        message.content, message.photo, message.unsend_time = "", None, entry.accept_time
        if new is None:
            self.changes.unsent[change.message_id] = message
        reference = photo_reference(message.sender_id, message.client_message_id)
        self.changes.erasures.append(
            Erasure(
                message.log_sequence,
                message.conversation_id,
                photo.upload_id if photo else None,
                reference if photo else None,
            )
        )
        for member in thread.members.values():
            if member.user_id == entry.actor_id or member.state is not MemberState.IGNORED:
                self._tell(thread, member, EntryKind.UNSENT, entry, message.number)
        return True

    def _read(self, thread: Thread, entry: LogEntry, change: ConversationRead) -> bool:
        reader = thread.members.get(entry.actor_id)
        up_to = min(change.up_to_number, thread.last_number)
        if reader is None or up_to <= reader.read_number:
            return False
        low_count = self._low_count(thread, up_to)
        reader.read_number = up_to
        reader.read_received = low_count if reader.other_id == thread.low_id else up_to - low_count
        self._tell(thread, reader, EntryKind.READ, entry, up_to)
        writer = thread.members[reader.other_id]
        # A requester isn't told what was read before the request is accepted.
        if reader.state is MemberState.ACTIVE and writer.state is MemberState.ACTIVE:
            self._tell(thread, writer, EntryKind.READ, entry, up_to)
        return True

    def _decide(self, thread: Thread, entry: LogEntry, change: RequestDecided) -> bool:
        member = thread.members.get(entry.actor_id)
        decided = MemberState.ACTIVE if change.accepted else MemberState.IGNORED
        undecided = member is not None and member.state in (MemberState.REQUESTED, MemberState.IGNORED)
        if member is None or not undecided or member.state is decided:
            return False
        member.state = decided
        self._tell(thread, member, EntryKind.DECIDED, entry, thread.last_number, is_accepted=change.accepted)
        return True

    def _known(self, message_id: MessageId) -> tuple[ConversationId, bytes] | None:
        known = self.changes.messages.get(message_id) or self.loaded.keys.get(message_id)
        return (known.conversation_id, known.body_digest) if known else None

    def _low_count(self, thread: Thread, number: int) -> int:
        if number == thread.last_number:
            return thread.low_count
        place = (thread.conversation_id, number)
        return self.low_counts[place] if place in self.low_counts else self.loaded.low_counts[place]

    def _tell(
        self,
        thread: Thread,
        member: Membership,
        kind: EntryKind,
        entry: LogEntry,
        number: int,
        *,
        is_accepted: bool = False,
    ) -> None:
        self.changes.inbox.append(
            NewInboxEntry(
                user_id=member.user_id,
                kind=kind,
                conversation_id=thread.conversation_id,
                number=number,
                actor_id=entry.actor_id,
                unread_count=thread.unread(member),
                is_accepted=is_accepted,
                log_sequence=entry.sequence,
            )
        )


def _new_thread(conversation_id: ConversationId) -> Thread:
    members = members_of(conversation_id)
    if members is None:
        raise ValueError(f"{conversation_id} is no conversation")
    return Thread(conversation_id, low_id=members[0], high_id=members[1])


def _member(thread: Thread, user_id: UserId, entry: LogEntry, state: MemberState) -> Membership:
    if user_id not in thread.members:
        other = thread.high_id if user_id == thread.low_id else thread.low_id
        thread.members[user_id] = Membership(
            user_id, other, state, read_number=0, read_received=0, update_time=entry.accept_time
        )
    return thread.members[user_id]
