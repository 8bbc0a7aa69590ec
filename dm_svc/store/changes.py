"""What a batch of log entries changes: written, and as those concerned see it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from dm_svc.domain.fold import Changes, NewInboxEntry, StoredMessage
from dm_svc.domain.values import ConversationId, EntryKind, Head, InboxEntry, Message, UserId
from dm_svc.store.arrays import byte_strings, integers, texts, times
from dm_svc.store.rows import QUERIES, photo_json
from mesh.postgres import Connection
from mesh.queries import Answer


async def write(
    connection: Connection, partitions: Mapping[ConversationId, int], changes: Changes
) -> Answer[Head] | None:
    """Send what a batch changes, in the caller's transaction; the answer tells the heads of the inboxes it is in."""
    if changes.unsent:
        unsent = list(changes.unsent.values())
        await QUERIES["take_back"].run(
            connection,
            conversation_ids=[one.conversation_id for one in unsent],
            numbers=[one.number for one in unsent],
            unsend_times=[one.unsend_time for one in unsent],
        )
    if changes.erasures:
        await QUERIES["write_erasures"].run(
            connection,
            partitions=[partitions[one.conversation_id] for one in changes.erasures],
            log_sequences=[one.log_sequence for one in changes.erasures],
            conversation_ids=[one.conversation_id for one in changes.erasures],
            upload_ids=[one.upload_id for one in changes.erasures],
            references=[one.reference for one in changes.erasures],
        )
    if not changes.threads:
        return None
    rows = {**_thread_rows(changes), **_message_rows(changes), **_inbox_rows(changes, partitions)}
    return await QUERIES["write_changes"].ask(connection, Head, **rows)


def new_entries(changes: Changes, heads: Sequence[Head], commit_time: datetime) -> list[InboxEntry]:
    """Return the new inbox entries, each inbox in order."""
    messages = {
        (one.conversation_id, one.number): one for one in (*changes.unsent.values(), *changes.messages.values())
    }
    ends = {head.user_id: head.head_useq for head in heads}
    return [
        _inbox_entry(entry, ends[entry.user_id] - back, messages, commit_time)
        for entry, back in zip(changes.inbox, _backs(changes.inbox), strict=True)
    ]


def _thread_rows(changes: Changes) -> dict[str, str]:
    threads = list(changes.threads.values())
    members = [(one.conversation_id, member) for one in threads for member in one.members.values()]
    return {
        "thread_ids": texts(one.conversation_id for one in threads),
        "low_ids": integers(one.low_id for one in threads),
        "high_ids": integers(one.high_id for one in threads),
        "last_numbers": integers(one.last_number for one in threads),
        "thread_low_counts": integers(one.low_count for one in threads),
        "member_ids": integers(member.user_id for _, member in members),
        "member_threads": texts(conversation_id for conversation_id, _ in members),
        "other_ids": integers(member.other_id for _, member in members),
        "states": integers(member.state for _, member in members),
        "read_numbers": integers(member.read_number for _, member in members),
        "read_receiveds": integers(member.read_received for _, member in members),
        "update_times": times(member.update_time for _, member in members),
    }


def _message_rows(changes: Changes) -> dict[str, str]:
    messages = list(changes.messages.values())
    return {
        "conversation_ids": texts(one.conversation_id for one in messages),
        "numbers": integers(one.number for one in messages),
        "message_ids": texts(one.message_id for one in messages),
        "sender_ids": integers(one.sender_id for one in messages),
        "client_message_ids": texts(one.client_message_id for one in messages),
        "contents": texts(one.content for one in messages),
        "photos": texts(photo_json(one.photo) for one in messages),
        "low_counts": integers(one.low_count for one in messages),
        "log_sequences": integers(one.log_sequence for one in messages),
        "send_times": times(one.send_time for one in messages),
        "unsend_times": times(one.unsend_time for one in messages),
        "body_digests": byte_strings(one.body_digest for one in messages),
    }


def _inbox_rows(changes: Changes, partitions: Mapping[ConversationId, int]) -> dict[str, str]:
    entries = changes.inbox
    added = Counter(entry.user_id for entry in entries)
    return {
        "head_users": integers(added),
        "added": integers(added.values()),
        "entry_users": integers(entry.user_id for entry in entries),
        "backs": integers(_backs(entries)),
        "kinds": integers(entry.kind for entry in entries),
        "entry_threads": texts(entry.conversation_id for entry in entries),
        "entry_numbers": integers(entry.number for entry in entries),
        "actor_ids": integers(entry.actor_id for entry in entries),
        "unread_counts": integers(entry.unread_count for entry in entries),
        "is_accepteds": integers(entry.is_accepted for entry in entries),
        "partitions": integers(partitions[entry.conversation_id] for entry in entries),
        "entry_sequences": integers(entry.log_sequence for entry in entries),
    }


def _backs(entries: Sequence[NewInboxEntry]) -> list[int]:
    """Return for each entry how many of the same inbox follow."""
    following: Counter[UserId] = Counter()
    backs = []
    for entry in reversed(entries):
        backs.append(following[entry.user_id])
        following[entry.user_id] += 1
    return backs[::-1]


def _inbox_entry(
    entry: NewInboxEntry,
    useq: int,
    messages: Mapping[tuple[ConversationId, int], StoredMessage],
    commit_time: datetime,
) -> InboxEntry:
    message = None
    if entry.kind in (EntryKind.MESSAGE, EntryKind.UNSENT):
        stored = messages[entry.conversation_id, entry.number]
        message = Message(
            message_id=stored.message_id,
            conversation_id=stored.conversation_id,
            number=stored.number,
            sender_id=stored.sender_id,
            client_message_id=stored.client_message_id if stored.sender_id == entry.user_id else "",
            content=stored.content,
            photo=stored.photo,
            send_time=stored.send_time,
            unsend_time=stored.unsend_time,
            is_read=False,
        )
    return InboxEntry(
        user_id=entry.user_id,
        useq=useq,
        kind=entry.kind,
        conversation_id=entry.conversation_id,
        number=entry.number,
        actor_id=entry.actor_id,
        unread_count=entry.unread_count,
        is_accepted=entry.is_accepted,
        commit_time=commit_time,
        message=message,
    )
