"""What staff and timers do: dead letters, verification, old entries, fences."""

import uuid
from datetime import UTC, datetime

import pytest

from dm_svc.domain.rules import partition_of
from dm_svc.domain.values import ConversationId
from dm_svc.events import log_stream
from heliograph.dm.v1 import message_admin_service_pb2
from heliograph.events.v1 import message_events_pb2
from tests.fixtures.stack import eventually
from tests.integration.dm_svc.conftest import refused


async def test_what_cannot_be_persisted_is_set_aside_listed_and_replayed(rig):
    ann, ben = rig.people(2)
    await ann.send(ben, "1")
    await ann.history(ben)
    conversation = ConversationId(ann.with_(ben))
    partition = partition_of(conversation, 8)
    await rig.jetstream.publish(f"dm.log.{partition:02}.{conversation}", b"\xff\xff not a log entry")
    await ann.send(ben, "2")
    assert [one.content for one in await ben.history(ann)] == ["1", "2"]
    pb = message_admin_service_pb2
    found = (await rig.admin.ListDeadLetters(pb.ListDeadLettersRequest())).dead_letters
    (dead,) = [one for one in found if one.subject.endswith(conversation)]
    assert (dead.partition, dead.size_bytes) == (partition, 18)
    replay = pb.ReplayDeadLettersRequest(dead_letter_ids=[dead.dead_letter_id])
    (outcome,) = (await rig.admin.ReplayDeadLetters(replay)).results
    assert not outcome.is_persisted
    shown = await rig.admin.GetDeadLetter(pb.GetDeadLetterRequest(dead_letter_id=dead.dead_letter_id))
    assert (shown.dead_letter.attempt_count, shown.HasField("entry")) == (2, False)
    # Repaired, as a newer version that understands it would see it.
    stored = await rig.jetstream.get(log_stream(partition), await rig.jetstream.last_sequence(log_stream(partition)))
    async with rig.database.transaction() as connection:
        await connection.execute(
            "UPDATE dead_letters SET payload = %s WHERE dead_letter_id = %s",
            (_with_new_id(stored.payload), dead.dead_letter_id),
        )
    (outcome,) = (await rig.admin.ReplayDeadLetters(replay)).results
    assert outcome.is_persisted, outcome.error
    assert [one.content for one in await ben.history(ann)] == ["1", "2", "2"]
    assert [entry.useq for entry in await ben.entries()] == [1, 2, 3]
    verified = await rig.admin.VerifyConversations(pb.VerifyConversationsRequest(conversation_id=conversation))
    assert not verified.findings
    missing = rig.admin.ReplayDeadLetters(pb.ReplayDeadLettersRequest(dead_letter_ids=[10**9]))
    assert await refused(missing) == "DEAD_LETTER_NOT_FOUND"


async def test_a_dead_letter_is_shown_without_what_was_written(rig):
    pb = message_admin_service_pb2
    ann, ben = rig.people(2)
    first = await ann.send(ben, "tell nobody")
    await ann.history(ben)
    conversation = ConversationId(ann.with_(ben))
    partition = partition_of(conversation, 8)
    stored = await rig.jetstream.get(log_stream(partition), await rig.jetstream.last_sequence(log_stream(partition)))
    # The same message with another text: its key was used.
    altered = message_events_pb2.LogEntryAppended.FromString(stored.payload)
    altered.message_sent.content, altered.message_sent.body_digest = "tell them all", b"other"
    await rig.jetstream.publish(stored.subject, altered.SerializeToString())
    await ann.send(ben, "2")
    await ann.history(ben)
    listed = (await rig.admin.ListDeadLetters(pb.ListDeadLettersRequest())).dead_letters
    (dead,) = [one for one in listed if one.subject == stored.subject]
    shown = await rig.admin.GetDeadLetter(pb.GetDeadLetterRequest(dead_letter_id=dead.dead_letter_id))
    assert shown.dead_letter == dead
    assert (dead.attempt_count, dead.error) == (1, "the key of the message was used for another message")
    entry = shown.entry
    assert (entry.change, entry.message_id) == (pb.DEAD_LETTER_CHANGE_SENT, first.message_id)
    assert (entry.actor_id, entry.other_id, entry.conversation_id) == (ann.user_id, ben.user_id, conversation)
    assert entry.content_length == len("tell them all")
    assert b"tell" not in shown.SerializeToString()
    missing = rig.admin.GetDeadLetter(pb.GetDeadLetterRequest(dead_letter_id=10**9))
    assert await refused(missing) == "DEAD_LETTER_NOT_FOUND"


def _with_new_id(payload: bytes) -> bytes:
    entry = message_events_pb2.LogEntryAppended.FromString(payload)
    entry.entry_id = entry.message_sent.message_id = str(uuid.uuid4())
    return entry.SerializeToString()


async def test_verify_finds_what_is_broken_and_nothing_else(rig):
    ann, ben = rig.people(2)
    for number in range(6):
        await ann.send(ben, str(number))
    await ben.history(ann)
    pb = message_admin_service_pb2
    asked = pb.VerifyConversationsRequest(conversation_id=ann.with_(ben))
    sound = await rig.admin.VerifyConversations(asked)
    assert (sound.conversations_checked, sound.messages_checked, list(sound.findings)) == (1, 6, [])
    async with rig.database.transaction() as connection:
        for statement in (
            "DELETE FROM messages WHERE conversation_id = %(c)s AND number = 6",
            "UPDATE messages SET number = -number WHERE conversation_id = %(c)s AND number IN (2, 3)",
            "UPDATE messages SET number = 5 + number WHERE conversation_id = %(c)s AND number < 0",
            "UPDATE members SET read_received = 2 WHERE conversation_id = %(c)s AND user_id = %(u)s",
            "UPDATE inbox_heads SET head_useq = 9 WHERE user_id = %(u)s",
            "DELETE FROM inbox WHERE user_id = %(u)s AND useq = 3",
        ):
            await connection.execute(statement, {"c": ann.with_(ben), "u": ben.user_id})
    broken = await rig.admin.VerifyConversations(asked)
    assert broken.lost_count == 1
    assert broken.hole_count >= 2
    assert broken.wrong_unread_count == 1
    assert broken.wrong_head_count == 1


async def test_the_admin_face_is_closed_to_the_gateway(rig):
    from heliograph.dm.v1 import message_admin_service_pb2_grpc

    gateway = message_admin_service_pb2_grpc.MessageAdminServiceStub(rig.channel)
    call = gateway.ListDeadLetters(message_admin_service_pb2.ListDeadLettersRequest())
    assert await refused(call) == "PERMISSION_DENIED"


async def test_inbox_entries_are_forgotten_after_their_time_and_old_cursors_get_resync(rig):
    from dm_svc.store.care import CareStore
    from dm_svc.usecases.trim_inboxes import TrimInboxes

    ann, ben = rig.people(2)
    for number in range(4):
        await ann.send(ben, str(number))
    await ben.history(ann)
    async with rig.database.transaction() as connection:
        await connection.execute(
            "UPDATE inbox SET commit_time = now() - interval '31 days' WHERE user_id = %s AND useq <= 2", (ben.user_id,)
        )
    await TrimInboxes(store=CareStore(rig.database), kept_seconds=30 * 86400)()
    assert (await ben.call("ReplayInbox", after_useq=1)).resync_reason == 1
    assert [entry.useq for entry in await ben.entries(after=2)] == [3, 4]
    assert len(await ben.history(ann)) == 4


async def test_a_fenced_owner_writes_nothing(rig):
    """Not even what goes together with it of partitions that are still its own."""
    from dm_svc.domain.fold import Loaded, fold
    from dm_svc.domain.values import LogEntry, MessageSent
    from dm_svc.store.log import LogStore, OwnershipLost, Step

    store = LogStore(rig.database)
    ann, ben = rig.people(2)
    conversation = ConversationId(ann.with_(ben))
    own = partition_of(conversation, 8)
    lost = (own + 1) % 8

    async def owned():
        """Position and fence of the partitions that have an owner."""
        async with rig.database.primary() as connection:
            cursor = await connection.execute("SELECT partition, position, fence FROM log_positions WHERE fence > 0")
            return {partition: (position, fence) for partition, position, fence in await cursor.fetchall()}

    async def all_are_owned():
        return len(await owned()) == 8

    await eventually(all_are_owned)
    before = await owned()
    steps = [
        Step(one, fence=fence - (one == lost), after=position, position=position + 5, announced=0)
        for one, (position, fence) in before.items()
        if one in (own, lost)
    ]
    sent = MessageSent(str(uuid.uuid4()), "key", "hello", None, b"digest", is_request=False)
    entry = LogEntry(1, sent.message_id, conversation, ann.user_id, ben.user_id, datetime.now(UTC), sent)
    changes = fold([entry], Loaded({}, {}, {}, {}))
    with pytest.raises(OwnershipLost):
        await store.commit(steps, {conversation: own}, changes, [])
    for partition in (own, lost):
        assert await store.get_position(partition) == before[partition][0]
    assert (await store.load([entry], {}, with_keys=True)) == Loaded({}, {}, {}, {})


async def test_what_a_replay_wrote_outlives_what_the_owner_remembers(rig):
    """The owner wrote the conversation last and remembers it; then a read pointer comes by another way."""
    pb = message_admin_service_pb2
    ann, ben = rig.people(2)
    for number in range(3):
        await ann.send(ben, str(number))
    await ben.history(ann)
    conversation = ConversationId(ann.with_(ben))
    partition = partition_of(conversation, 8)
    await rig.jetstream.publish(f"dm.log.{partition:02}.{conversation}", b"\xff")
    await ann.send(ben, "3")
    await ben.history(ann)
    read = message_events_pb2.LogEntryAppended(
        conversation_id=conversation,
        partition=partition,
        entry_id=str(uuid.uuid4()),
        actor_id=ben.user_id,
        other_id=ann.user_id,
    )
    read.conversation_read.up_to_number = 4
    async with rig.database.primary() as connection:
        cursor = await connection.execute(
            "UPDATE dead_letters SET payload = %s WHERE subject LIKE %s RETURNING dead_letter_id",
            (read.SerializeToString(), f"%.{conversation}"),
        )
        (dead_letter_id,) = await cursor.fetchone()
    replayed = await rig.admin.ReplayDeadLetters(pb.ReplayDeadLettersRequest(dead_letter_ids=[dead_letter_id]))
    assert replayed.results[0].is_persisted, replayed.results[0].error
    await ann.send(ben, "4")
    assert [one.number for one in await ben.history(ann)] == [1, 2, 3, 4, 5]
    assert ((await ben.conversation(ann)).read_number, (await ben.conversation(ann)).unread_count) == (4, 1)
    asked = pb.VerifyConversationsRequest(conversation_id=conversation)
    assert not (await rig.admin.VerifyConversations(asked)).findings
