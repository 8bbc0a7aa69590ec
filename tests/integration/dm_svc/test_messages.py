"""The thin path: send, persist, deliver, read, replay."""

import asyncio

import pytest

from heliograph.dm.v1 import message_service_pb2 as pb
from heliograph.events.v1 import message_events_pb2
from mesh.errors import HeliographError
from tests.fixtures.stack import eventually


async def test_a_sent_message_is_in_the_conversation_of_both(rig):
    ann, ben = rig.people(2)
    sent = await ann.send(ben, "hello Ben")
    (read,) = await ben.history(ann)
    assert (read.message_id, read.content, read.sender_id) == (sent.message_id, "hello Ben", ann.user_id)
    assert read.number == 1
    assert [one.message_id for one in await ann.history(ben)] == [sent.message_id]


async def test_M1_messages_stand_in_the_order_of_their_acknowledgements(rig):
    ann, ben = rig.people(2)
    sent = [await (ann if turn % 3 else ben).send(ben if turn % 3 else ann, str(turn)) for turn in range(30)]
    read = await ben.history(ann)
    assert [one.content for one in read] == [str(turn) for turn in range(30)]
    assert [one.number for one in read] == list(range(1, 31))
    assert [one.message_id for one in read] == [one.message_id for one in sent]


async def test_read_after_write_also_under_load(rig):
    ann, ben = rig.people(2)

    async def send_and_read(number: int) -> None:
        sent = await ann.send(ben, f"{number}")
        assert sent.message_id in {one.message_id for one in await ann.history(ben)}

    await asyncio.gather(*(send_and_read(number) for number in range(40)))


async def test_a_delivered_message_is_announced_to_both_members(rig):
    ann, ben = rig.people(2)
    heard = []

    async def hear(message):
        heard.append(message_events_pb2.InboxEntriesDelivered.FromString(message.data))

    for person in (ann, ben):
        await rig.jetstream.hear(f"dm.inbox.{person.user_id}", hear)
    sent = await ann.send(ben, "psst")
    await eventually(lambda: len(heard) == 2)
    by_user = {event.user_id: event.entries[0] for event in heard}
    assert by_user[ben.user_id].message_received.content == "psst"
    assert by_user[ben.user_id].message_received.client_message_id == ""
    assert by_user[ann.user_id].message_received.message_id == sent.message_id
    assert by_user[ann.user_id].message_received.client_message_id == sent.client_message_id
    assert [entry.useq for entry in by_user.values()] == [1, 1]


async def test_conversations_are_listed_newest_first_with_unread_counts(rig):
    ann, ben, cid = rig.people(3)
    await ben.send(ann, "1")
    await cid.send(ann, "2")
    await ben.send(ann, "3")
    await asyncio.sleep(0)
    listed = (await ann.call("ListConversations")).conversations
    assert [(one.other_user_id, one.unread_count, one.last_number) for one in listed] == [
        (ben.user_id, 2, 2),
        (cid.user_id, 1, 1),
    ]
    assert listed[0].last_message.content == "3"
    first = await ann.call("ListConversations", page_size=1)
    second = await ann.call("ListConversations", page_size=1, page_token=first.next_page_token)
    assert [page.conversations[0].other_user_id for page in (first, second)] == [ben.user_id, cid.user_id]
    assert second.next_page_token == ""


async def test_mark_read_moves_the_pointer_forward_only(rig):
    ann, ben = rig.people(2)
    for number in range(3):
        await ben.send(ann, str(number))
    conversation = await ann.conversation(ben)
    assert conversation.unread_count == 3
    read = (await ann.call("MarkRead", conversation_id=ann.with_(ben), up_to_number=2)).conversation
    assert (read.read_number, read.unread_count) == (2, 1)
    back = (await ann.call("MarkRead", conversation_id=ann.with_(ben), up_to_number=1)).conversation
    assert (back.read_number, back.unread_count) == (2, 1)
    assert [one.is_read for one in await ben.history(ann)] == [True, True, False]
    assert (await ben.conversation(ann)).other_read_number == 2
    with pytest.raises(HeliographError) as beyond:
        await ann.call("MarkRead", conversation_id=ann.with_(ben), up_to_number=4)
    assert beyond.value.reason == "NUMBER_OUT_OF_RANGE"


async def test_the_inbox_is_one_contiguous_log_of_all_that_happens(rig):
    ann, ben, cid = rig.people(3)
    await ann.send(ben, "to Ben")
    await cid.send(ann, "to Ann")
    await ann.history(cid)
    await ben.call("MarkRead", conversation_id=ann.with_(ben), up_to_number=1)
    entries = await ann.entries()
    assert [entry.useq for entry in entries] == [1, 2, 3]
    assert sorted(entry.WhichOneof("event") for entry in entries) == [
        "conversation_read",
        "message_received",
        "message_received",
    ]
    after = await ann.entries(after=1)
    assert [entry.useq for entry in after] == [2, 3]
    nobody = (await rig.person().call("ReplayInbox")).head_useq
    assert nobody == 0
    heads = (await ann.call("GetInboxHeads", user_ids=[ann.user_id, 77, ben.user_id])).heads
    assert [(head.user_id, head.head_useq) for head in heads][:2] == [(ann.user_id, 3), (77, 0)]
    assert heads[2].head_useq == 2


async def test_a_place_that_cannot_be_served_gets_resync(rig):
    ann, ben = rig.people(2)
    await ann.send(ben)
    await ann.history(ben)
    reply = await ben.call("ReplayInbox", after_useq=7)
    assert reply.resync_reason == 2
    assert not reply.entries
    assert reply.head_useq == 1
    async with rig.database.transaction() as connection:
        await connection.execute("UPDATE inbox_heads SET first_useq = 2 WHERE user_id = %s", (ben.user_id,))
    assert (await ben.call("ReplayInbox", after_useq=0)).resync_reason == 1


async def test_history_pages_both_ways_from_any_place(rig):
    ann, ben = rig.people(2)
    for number in range(1, 8):
        await ann.send(ben, str(number))

    async def walk(order: int) -> list[str]:
        token, found = "", []
        while True:
            page = await ben.call(
                "ListMessages", conversation_id=ann.with_(ben), page_size=3, page_token=token, order=order
            )
            found += [one.content for one in page.messages]
            token = page.next_page_token
            if not token:
                return found

    assert await walk(pb.MESSAGE_ORDER_NEWEST_FIRST) == ["7", "6", "5", "4", "3", "2", "1"]
    assert await walk(pb.MESSAGE_ORDER_OLDEST_FIRST) == ["1", "2", "3", "4", "5", "6", "7"]
    page = await ben.call("ListMessages", conversation_id=ann.with_(ben), page_size=3, include_cursors=True)
    up = await ben.call(
        "ListMessages",
        conversation_id=ann.with_(ben),
        page_token=page.cursors[2],
        order=pb.MESSAGE_ORDER_OLDEST_FIRST,
    )
    assert [one.content for one in up.messages] == ["6", "7"]
