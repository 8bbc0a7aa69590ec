"""M6: unread counts equal a recount of the history, whatever people do in whatever order. The seed is in the name."""

import asyncio
import random

import pytest

from dm_svc.domain import fold as folding
from heliograph.dm.v1 import message_admin_service_pb2
from mesh.errors import HeliographError

PEOPLE = 4
STEPS = 120
TOGETHER = 6
"""Steps that are taken at the same time."""


async def step(people, draw, sent):
    one, other = draw.sample(people, 2)
    kind = draw.choices(["send", "read", "read_back", "unsend", "retry"], [50, 30, 10, 5, 5])[0]
    try:
        match kind:
            case "send":
                key = str(draw.getrandbits(64))
                await one.send(other, f"{kind} {key}", key)
                sent.append((one, other, key))
            case "retry" if sent:
                sender, recipient, key = draw.choice(sent)
                await sender.send(recipient, f"send {key}", key)
            case "unsend" if sent:
                sender, recipient, key = draw.choice(sent)
                message = await sender.send(recipient, f"send {key}", key)
                await sender.call("Unsend", message_id=message.message_id)
            case "read" | "read_back":
                last = (await one.conversation(other)).last_number
                up_to = draw.randint(1, last) if kind == "read" else max(1, last // 3)
                await one.call("MarkRead", conversation_id=one.with_(other), up_to_number=up_to)
    except HeliographError as refused:
        # Nothing was said yet, or the same message is being taken back twice.
        assert refused.reason in ("CONVERSATION_NOT_FOUND", "MESSAGE_NOT_FOUND"), refused


async def recount(reader, other):
    """What is unread by the messages themselves."""
    conversation, number, unread = await reader.conversation(other), 0, 0
    token = ""
    while True:
        page = await reader.call("ListMessages", conversation_id=reader.with_(other), page_size=50, page_token=token)
        unread += sum(one.sender_id == other.user_id and one.number > conversation.read_number for one in page.messages)
        number += len(page.messages)
        if not (token := page.next_page_token):
            break
    assert number == conversation.last_number
    return conversation.unread_count, unread


async def wrong_counts(rig, seed):
    """Let people do things at random; return every count that differs from its recount."""
    draw = random.Random(seed)
    people = rig.people(PEOPLE)
    sent = []
    for _ in range(STEPS // TOGETHER):
        await asyncio.gather(*(step(people, draw, sent) for _ in range(TOGETHER)))
    wrong = []
    for reader in people:
        for other in people:
            if reader is not other:
                try:
                    told, counted = await recount(reader, other)
                except HeliographError:
                    continue  # these two never spoke
                if told != counted:
                    wrong.append((reader.user_id, other.user_id, told, counted))
        listed = (await reader.call("ListConversations", page_size=50)).conversations
        for conversation in listed:
            found = await reader.call("BatchGetConversations", conversation_ids=[conversation.conversation_id])
            assert found.results[0].conversation.unread_count == conversation.unread_count
    for one in people:
        for other in people:
            if one.user_id < other.user_id:
                reply = await rig.admin.VerifyConversations(
                    message_admin_service_pb2.VerifyConversationsRequest(conversation_id=one.with_(other))
                )
                wrong += [one.with_(other)] * reply.wrong_unread_count
    return wrong


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_M6_unread_counts_equal_a_recount_after_any_interleaving(rig, seed):
    assert await wrong_counts(rig, seed) == []


async def test_M6_the_recount_catches_a_counter_in_the_place_of_the_pointer(rig, monkeypatch):
    """The sabotage: what was read is counted up, one's own messages included."""
    read_up_to = folding._Folding._read

    def counted(self, thread, entry, change):
        reader = thread.members.get(entry.actor_id)
        before = (reader.read_number, reader.read_received) if reader else (0, 0)
        applied = read_up_to(self, thread, entry, change)
        if applied and reader:
            reader.read_received = before[1] + reader.read_number - before[0]
        return applied

    monkeypatch.setattr(folding._Folding, "_read", counted)
    assert await wrong_counts(rig, 4)
