"""Once, in order, private, read: what the service promises about messages, on real servers."""

import asyncio
import uuid
from dataclasses import replace

import pytest

from dm_svc.cache import PENDING_ENTRIES, TRIM_EVERY, Cache
from dm_svc.domain.rules import partition_of
from dm_svc.domain.values import ConversationId
from dm_svc.events import log_stream
from dm_svc.store.reads import ReadStore
from dm_svc.usecases import erase_unsent
from heliograph.dm.v1 import conversation_pb2, message_service_pb2, message_settings_pb2
from heliograph.events.v1 import live_events_pb2
from mesh import redis, redis_bulk
from tests.fixtures.stack import eventually
from tests.integration.dm_svc.conftest import refused


async def test_M3_a_retry_with_the_same_key_returns_the_first_message_for_ever(rig):
    ann, ben = rig.people(2)
    key = str(uuid.uuid4())
    first = await ann.send(ben, "once", key)
    again = await ann.send(ben, "once", key)
    assert again.message_id == first.message_id
    await ann.history(ben)
    # Long after: the log's own memory of ids is gone.
    conversation = ConversationId(ann.with_(ben))
    stream = log_stream(partition_of(conversation, 8))
    await rig.jetstream.erase(stream, await rig.jetstream.last_sequence(stream))
    later = await ann.send(ben, "once", key)
    assert (later.message_id, later.number) == (first.message_id, 1)
    assert len(await ben.history(ann)) == 1


async def test_M3_a_second_log_entry_of_the_same_message_changes_nothing(rig):
    ann, ben = rig.people(2)
    first = await ann.send(ben, "once")
    await ann.history(ben)
    partition = partition_of(ConversationId(ann.with_(ben)), 8)
    stream = log_stream(partition)
    stored = await rig.jetstream.get(stream, await rig.jetstream.last_sequence(stream))
    await rig.jetstream.publish(stored.subject, stored.payload)  # without an id, as after the dedup window
    await ann.send(ben, "twice")
    read = await ben.history(ann)
    assert [(one.number, one.content) for one in read] == [(1, "once"), (2, "twice")]
    assert read[0].message_id == first.message_id


async def test_M3_a_key_used_with_another_body_is_refused(rig):
    ann, ben, cid = rig.people(3)
    key = "a-key-of-ann"
    await ann.send(ben, "one body", key)
    assert await refused(ann.send(ben, "another body", key)) == "IDEMPOTENCY_KEY_REUSED"
    assert await refused(ann.send(cid, "one body", key)) == "IDEMPOTENCY_KEY_REUSED"
    await ben.history(ann)
    assert await refused(ann.send(ben, "another body", key)) == "IDEMPOTENCY_KEY_REUSED"
    other = await ben.send(ann, "the same key of another person is another key", key)
    assert other.message_id
    assert len(await ben.history(ann)) == 2


async def test_M3_a_send_that_was_refused_keeps_its_key_for_its_own_body(rig):
    ann, ben = rig.people(2)
    rig.graph.absent.add(ben.user_id)
    assert await refused(ann.send(ben, "one body", "key-of-a-refusal")) == "RECIPIENT_NOT_FOUND"
    rig.graph.absent.discard(ben.user_id)
    assert await refused(ann.send(ben, "another body", "key-of-a-refusal")) == "IDEMPOTENCY_KEY_REUSED"
    await ann.send(ben, "one body", "key-of-a-refusal")
    assert [one.content for one in await ben.history(ann)] == ["one body"]


async def test_M3_the_same_send_many_times_at_once_is_one_message(rig):
    ann, ben = rig.people(2)
    sent = await asyncio.gather(*(ann.send(ben, "at once", "one-key") for _ in range(20)))
    assert len({one.message_id for one in sent}) == 1
    assert len(await ben.history(ann)) == 1


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"content": ""}, "MESSAGE_EMPTY"),
        ({"content": " \n\t"}, "MESSAGE_EMPTY"),
        ({"content": "x" * 10_001}, "MESSAGE_TOO_LONG"),
        ({"content": "a\0b"}, "TEXT_INVALID"),
        ({"client_message_id": ""}, "CLIENT_MESSAGE_ID_INVALID"),
        ({"client_message_id": "k" * 65}, "CLIENT_MESSAGE_ID_INVALID"),
        ({"client_message_id": "clé"}, "CLIENT_MESSAGE_ID_INVALID"),
        ({"recipient_id": 0}, "RECIPIENT_NOT_FOUND"),
        ({"recipient_id": -5}, "RECIPIENT_NOT_FOUND"),
        ({"upload_id": "no-such-upload"}, "UPLOAD_NOT_FOUND"),
    ],
)
async def test_bad_input_is_refused_with_its_reason(rig, fields, reason):
    ann, ben = rig.people(2)
    good = {"recipient_id": ben.user_id, "content": "fine", "client_message_id": str(uuid.uuid4())}
    assert await refused(ann.call("SendMessage", **{**good, **fields})) == reason


async def test_nobody_writes_to_themselves_to_the_absent_or_across_a_block(rig):
    ann, ben = rig.people(2)
    assert await refused(ann.send(ann)) == "CANNOT_MESSAGE_SELF"
    rig.graph.absent.add(ben.user_id)
    assert await refused(ann.send(ben)) == "RECIPIENT_NOT_FOUND"
    rig.graph.absent.discard(ben.user_id)
    await ann.send(ben)
    for block in ((ann.user_id, ben.user_id), (ben.user_id, ann.user_id)):
        rig.graph.blocks.add(block)
        assert await refused(ann.send(ben)) == "RECIPIENT_NOT_FOUND"
        rig.graph.blocks.discard(block)
    assert (await ann.send(ben)).message_id


async def test_M7_a_stranger_gets_nothing_and_cannot_tell_it_from_what_is_absent(rig):
    ann, ben, eve = rig.people(3)
    sent = await ann.send(ben, "private")
    await ann.history(ben)
    theirs, absent = ann.with_(ben), eve.with_(rig.person())
    for conversation_id in (theirs, absent, "", "1", "2-1", "x-y", f"0{theirs}", "1-2-3", "１-２", "9" * 50):
        fields = {"conversation_id": conversation_id}
        for method, more in (
            ("ListMessages", {}),
            ("MarkRead", {"up_to_number": 1}),
            ("SetTyping", {"is_typing": True}),
            ("AcceptMessageRequest", {}),
            ("IgnoreMessageRequest", {}),
        ):
            assert await refused(eve.call(method, **fields, **more)) == "CONVERSATION_NOT_FOUND", (
                method,
                conversation_id,
            )
    assert not (await eve.call("ListConversations")).conversations
    for batch, ids in (("BatchGetConversations", "conversation_ids"), ("BatchGetMessages", "message_ids")):
        (result,) = (await eve.call(batch, **{ids: [theirs if "Conv" in batch else sent.message_id]})).results
        assert not result.found
    for message_id in (sent.message_id, str(uuid.uuid4()), "no-uuid"):
        assert await refused(eve.call("Unsend", message_id=message_id)) == "MESSAGE_NOT_FOUND"
    assert await eve.entries() == []
    assert await refused(ben.call("Unsend", message_id=sent.message_id)) == "MESSAGE_NOT_YOURS"


async def test_a_cursor_is_good_for_its_reader_and_list_only(rig):
    ann, ben = rig.people(2)
    for number in range(3):
        await ann.send(ben, str(number))
    page = await ann.call("ListMessages", conversation_id=ann.with_(ben), page_size=1)
    token = page.next_page_token
    for person, altered in ((ben, token), (ann, token[:-1] + "A"), (ann, "x"), (ann, "%%%")):
        call = person.call("ListMessages", conversation_id=ann.with_(ben), page_token=altered)
        assert await refused(call) == "PAGE_TOKEN_INVALID"
    for size in (-1, 51):
        call = ann.call("ListMessages", conversation_id=ann.with_(ben), page_size=size)
        assert await refused(call) == "PAGE_SIZE_INVALID"


async def test_unsend_takes_text_and_photo_from_both_members_and_from_the_log(rig):
    ann, ben = rig.people(2)
    upload = str(uuid.uuid4())
    rig.media.ready[upload] = ann.user_id
    sent = await ann.send(ben, "a secret", upload_id=upload)
    assert sent.photo.variants[0].url.startswith("http://127.0.0.1:9/heliograph-private/m/")
    (read,) = await ben.history(ann)
    assert read.photo.variants[0].url
    assert read.photo.HasField("url_expire_time")
    taken = (await ann.call("Unsend", message_id=sent.message_id)).message
    assert taken.content == ""
    assert not taken.HasField("photo")
    again = (await ann.call("Unsend", message_id=sent.message_id)).message
    assert again.unsend_time == taken.unsend_time
    (tombstone,) = await ben.history(ann)
    assert (tombstone.number, tombstone.content, tombstone.HasField("unsend_time")) == (1, "", True)
    entries = await ben.entries()
    assert [entry.WhichOneof("event") for entry in entries] == ["message_received", "message_unsent"]
    assert entries[0].message_received.content == ""
    assert entries[1].message_unsent.message_id == sent.message_id
    await eventually(lambda: rig.media.deleted.get(upload) is not None)
    stream = log_stream(partition_of(ConversationId(ann.with_(ben)), 8))

    async def erased() -> bool:
        last = await rig.jetstream.last_sequence(stream)
        kept = [await rig.jetstream.get(stream, sequence) for sequence in range(1, last + 1)]
        return not any(b"a secret" in one.payload for one in kept if one)

    await eventually(erased)
    retry = await ann.send(ben, "a secret", sent.client_message_id, upload_id=upload)
    assert (retry.message_id, retry.content) == (sent.message_id, "")


async def test_a_photo_alone_is_a_message_and_is_attached_once(rig):
    ann, ben = rig.people(2)
    upload = str(uuid.uuid4())
    rig.media.ready[upload] = ann.user_id
    sent = await ann.send(ben, "", upload_id=upload)
    assert sent.photo.width == 3000
    assert await refused(ann.send(ben, "", upload_id=upload)) == "UPLOAD_ALREADY_ATTACHED"
    assert (await ann.send(ben, "", sent.client_message_id, upload_id=upload)).message_id == sent.message_id
    rig.media.ready["of-ben"] = ben.user_id
    assert await refused(ann.send(ben, "", upload_id="of-ben")) == "UPLOAD_NOT_FOUND"


async def test_a_stranger_writes_a_request_until_it_is_accepted(rig):
    ann, ben = rig.people(2)
    rig.graph.not_following.add((ben.user_id, ann.user_id))
    for number in range(5):
        await ann.send(ben, str(number))
    seen = await ben.conversation(ann)
    assert seen.state == conversation_pb2.CONVERSATION_STATE_REQUESTED
    assert (await ann.conversation(ben)).state == conversation_pb2.CONVERSATION_STATE_ACTIVE
    assert await refused(ann.send(ben, "6")) == "MESSAGE_REQUEST_LIMIT_REACHED"
    folder = message_service_pb2.CONVERSATION_FOLDER_REQUESTS
    assert len((await ben.call("ListConversations", folder=folder)).conversations) == 1
    assert not (await ben.call("ListConversations")).conversations
    await ben.call("MarkRead", conversation_id=ann.with_(ben), up_to_number=5)
    assert (await ann.conversation(ben)).other_read_number == 0, "a requester isn't told what was read"
    ignored = (await ben.call("IgnoreMessageRequest", conversation_id=ann.with_(ben))).conversation
    assert ignored.state == conversation_pb2.CONVERSATION_STATE_IGNORED
    accepted = (await ben.call("AcceptMessageRequest", conversation_id=ann.with_(ben))).conversation
    assert accepted.state == conversation_pb2.CONVERSATION_STATE_ACTIVE
    assert await refused(ben.call("IgnoreMessageRequest", conversation_id=ann.with_(ben))) == "NOT_A_MESSAGE_REQUEST"
    assert (await ann.conversation(ben)).other_read_number == 5
    assert (await ann.send(ben, "6")).message_id
    assert "message_request_decided" not in {entry.WhichOneof("event") for entry in await ann.entries()}


async def test_an_ignored_request_is_not_announced_any_more(rig):
    ann, ben = rig.people(2)
    rig.graph.not_following.add((ben.user_id, ann.user_id))
    await ann.send(ben, "1")
    await ben.call("IgnoreMessageRequest", conversation_id=ann.with_(ben))
    before = len(await ben.entries())
    await ann.send(ben, "2")
    assert len(await ann.history(ben)) == 2
    assert len(await ben.entries()) == before
    await ben.send(ann, "to answer is to accept")
    assert (await ben.conversation(ann)).state == conversation_pb2.CONVERSATION_STATE_ACTIVE


async def test_the_choice_of_who_may_write(rig):
    ann, ben, cid = rig.people(3)
    rig.graph.not_following.add((ben.user_id, ann.user_id))
    await cid.send(ben, "before")

    async def choose(audience: int) -> None:
        settings = message_settings_pb2.MessageSettings(audience=audience)
        assert (await ben.call("UpdateMessageSettings", settings=settings)).settings == settings
        assert (await ben.call("GetMessageSettings")).settings == settings

    await choose(message_settings_pb2.MESSAGE_AUDIENCE_FOLLOWEES)
    assert await refused(ann.send(ben)) == "MESSAGES_NOT_ACCEPTED"
    await choose(message_settings_pb2.MESSAGE_AUDIENCE_NOBODY)
    assert await refused(rig.person().send(ben)) == "MESSAGES_NOT_ACCEPTED"
    assert (await cid.send(ben, "active ones go on")).message_id
    await choose(message_settings_pb2.MESSAGE_AUDIENCE_EVERYONE)
    assert (await ann.send(ben)).message_id
    assert await refused(ben.call("UpdateMessageSettings")) == "MESSAGE_SETTINGS_INVALID"


async def test_typing_and_presence_reach_the_other_member_and_are_stored_nowhere(rig):
    ann, ben = rig.people(2)
    await ann.send(ben)
    await ann.history(ben)
    heard = []
    await rig.jetstream.hear(
        f"live.{ben.user_id}", lambda message: heard.append(live_events_pb2.LiveEvent.FromString(message.data))
    )
    await ann.call("SetTyping", conversation_id=ann.with_(ben), is_typing=True)
    interval = (await ann.call("ReportPresence", is_online=True)).report_interval
    assert interval.seconds == 30
    await eventually(lambda: len(heard) == 2)
    assert heard[0].typing.typist_id == ann.user_id
    assert heard[0].typing.is_typing
    assert heard[1].presence_changed.is_online
    rig.graph.blocks.add((ben.user_id, ann.user_id))
    await ann.call("SetTyping", conversation_id=ann.with_(ben), is_typing=True)
    await ann.call("ReportPresence", is_online=True)
    await asyncio.sleep(0.1)
    assert len(heard) == 2
    assert len(await ben.entries()) == 1


async def test_the_inbox_is_the_same_with_and_without_redis(rig):
    ann, ben = rig.people(2)
    for number in range(12):
        await (ann if number % 2 else ben).send(ben if number % 2 else ann, str(number))
    await ann.history(ben)
    pending = f"dm:inbox:{{{ann.user_id}}}"
    async with redis.connect(rig.config.redis_url) as client:

        async def all_are_there() -> bool:
            return await client.zcard(pending) == 12

        await eventually(all_are_there)
        assert 0 < await client.ttl(pending) <= 30 * 24 * 3600
        from_cache = await ann.entries(after=3)
        assert await client.delete(pending) == 1
    assert await ann.entries(after=3) == from_cache
    assert [entry.useq for entry in from_cache] == list(range(4, 13))


async def test_a_pending_inbox_keeps_the_newest_entries(rig):
    ann, ben = rig.people(2)
    await ann.send(ben, "a template")
    await ben.history(ann)
    (template,) = await ReadStore(rig.database).replay_inbox(ben.user_id, after=0, head=1, limit=1)
    async with redis.connect(rig.config.redis_url) as client, redis_bulk.connect(client, rig.config.redis_url) as bulk:
        cache = Cache(client, bulk)
        entries = [replace(template, useq=useq) for useq in range(2, PENDING_ENTRIES + 200)]
        for start in range(0, len(entries), 60):
            await cache.push(entries[start : start + 60])
        kept = await client.zrange(f"dm:inbox:{{{ben.user_id}}}", 0, -1, withscores=True)
        assert PENDING_ENTRIES <= len(kept) < PENDING_ENTRIES + 60 + TRIM_EVERY
        assert kept[-1][1] == entries[-1].useq
        assert [score for _, score in kept] == list(range(int(kept[0][1]), entries[-1].useq + 1))


async def test_what_cannot_be_erased_yet_lets_the_others_pass_and_is_erased_later(rig, monkeypatch):
    monkeypatch.setattr(erase_unsent, "BATCH", 1)
    ann, ben = rig.people(2)
    upload = str(uuid.uuid4())
    rig.media.ready[upload] = ann.user_id
    rig.media.stuck.add(upload)
    for sent in [await ann.send(ben, "", upload_id=upload), await ann.send(ben, "a secret")]:
        await ann.call("Unsend", message_id=sent.message_id)

    async def only_the_photo_is_left() -> bool:
        return await left_to_erase(rig, ann.with_(ben)) == [upload]

    async def nothing_is_left() -> bool:
        return not await left_to_erase(rig, ann.with_(ben))

    await eventually(only_the_photo_is_left)
    rig.media.stuck.clear()
    await eventually(nothing_is_left)
    assert upload in rig.media.deleted


async def test_a_pending_inbox_forgets_what_was_taken_back_even_if_redis_was_away_then(rig):
    ann, ben = rig.people(2)
    sent = await ann.send(ben, "a secret")
    await ben.history(ann)
    (told,) = await ReadStore(rig.database).replay_inbox(ben.user_id, after=0, head=1, limit=1)
    await ann.call("Unsend", message_id=sent.message_id)
    async with redis.connect(rig.config.redis_url) as client, redis_bulk.connect(client, rig.config.redis_url) as bulk:
        key = f"dm:inbox:{{{ben.user_id}}}"

        async def is_dropped() -> bool:
            return not any(b"a secret" in member for member in await client.zrange(key, 0, -1))

        async def nothing_is_left() -> bool:
            return not await left_to_erase(rig, ann.with_(ben))

        await eventually(is_dropped)
        await eventually(nothing_is_left)
        # As if the drop had not reached Redis: then what is to be erased is still written down.
        await Cache(client, bulk).push([told])
        assert not await is_dropped()
        async with rig.database.transaction() as connection:
            await connection.execute(
                "INSERT INTO erasures (partition, log_sequence, conversation_id) "
                "SELECT partition, log_sequence, conversation_id FROM inbox WHERE user_id = %s AND useq = 1",
                (ben.user_id,),
            )
        await eventually(is_dropped)


async def left_to_erase(rig, conversation_id: str) -> list[str | None]:
    """Return the upload, if any, of each message of a conversation of which something remains."""
    async with rig.database.primary() as connection:
        cursor = await connection.execute(
            "SELECT upload_id FROM erasures WHERE conversation_id = %s", (conversation_id,)
        )
        return [upload_id for (upload_id,) in await cursor.fetchall()]
