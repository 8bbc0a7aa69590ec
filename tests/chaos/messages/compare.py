"""What was acknowledged, beside what can be read."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from heliograph.dm.v1 import inbox_service_pb2, message_admin_service_pb2, message_service_pb2
from mesh.errors import HeliographError
from tests.chaos.messages.devices import Shown
from tests.chaos.messages.world import Sent, World

QUIET_SECONDS = 60.0
"""How long everything may take to come to rest."""


async def compare(world: World, devices: Sequence[Shown]) -> None:
    """Read every conversation, look at every device, let the service verify itself; count what is wrong."""
    check = world.check
    check.say("Reading the whole history")
    by_conversation: dict[str, list[Sent]] = defaultdict(list)
    for sent in world.sent:
        by_conversation[sent.conversation_id].append(sent)
    lost: list[str] = []
    doubled: list[object] = []
    holes: list[str] = []
    disorder: list[str] = []
    for conversation_id, acked in by_conversation.items():
        history = await _history(world, conversation_id)
        numbers = [message.number for message in history]
        holes += [f"{conversation_id}/{at}" for at, number in enumerate(numbers, 1) if number != at]
        texts = Counter((message.sender_id, message.content) for message in history)
        doubled += [text for text, times in texts.items() if times > 1]
        places = {message.message_id: message.number for message in history}
        lost += [sent.message_id for sent in acked if sent.message_id not in places]
        disorder += _out_of_order([sent for sent in acked if sent.message_id in places], places)
    check.count("acked", len(world.sent))
    check.count("cut_calls", world.cut_calls)
    check.count("retried", sum(sent.tries > 1 for sent in world.sent))
    check.none_may_be("lost", len(lost), *lost)
    check.none_may_be("doubled", len(doubled), *doubled)
    check.none_may_be("out_of_order", len(disorder), *disorder)
    check.none_may_be("holes", len(holes), *holes)
    await _compare_devices(world, devices)
    await _verify(world)


async def _history(world: World, conversation_id: str) -> list[Any]:
    world.act_as(int(conversation_id.partition("-")[0]))
    messages: list[Any] = []
    token = ""
    give_up = time.monotonic() + QUIET_SECONDS
    while True:
        try:
            page = await world.messages.ListMessages(
                message_service_pb2.ListMessagesRequest(
                    conversation_id=conversation_id,
                    page_size=50,
                    page_token=token,
                    order=message_service_pb2.MESSAGE_ORDER_OLDEST_FIRST,
                )
            )
        except HeliographError:
            if time.monotonic() > give_up:
                return messages
            await asyncio.sleep(0.1)
            continue
        messages += page.messages
        token = page.next_page_token
        if not token:
            return messages


def _out_of_order(acked: list[Sent], places: dict[str, int]) -> list[str]:
    """Messages that stand behind one that was issued only after they had been acknowledged."""
    in_place = sorted(acked, key=lambda sent: places[sent.message_id])
    wrong = []
    earliest_ack = float("inf")
    for sent in reversed(in_place):
        if earliest_ack < sent.issued:
            wrong.append(sent.message_id)
        earliest_ack = min(earliest_ack, sent.acked)
    return wrong


async def _compare_devices(world: World, devices: Sequence[Shown]) -> None:
    check = world.check
    heads: dict[int, int] = {}
    give_up = time.monotonic() + QUIET_SECONDS
    while time.monotonic() < give_up:
        try:
            reply = await world.inboxes.GetInboxHeads(inbox_service_pb2.GetInboxHeadsRequest(user_ids=world.users))
        except HeliographError:
            await asyncio.sleep(0.2)
            continue
        heads = {head.user_id: head.head_useq for head in reply.heads}
        if all(device.cursor == heads[device.user_id] for device in devices):
            break
        await asyncio.sleep(0.2)
    wrong = [device.user_id for device in devices if device.places != list(range(1, heads.get(device.user_id, 0) + 1))]
    twice = [device.user_id for device in devices if len(set(device.message_ids)) != len(device.message_ids)]
    check.count("cut_connections", world.cuts)
    check.none_may_be("device_holes", len(wrong), *wrong)
    check.none_may_be("device_doubled", len(twice), *twice)


async def _verify(world: World) -> None:
    check, token, found = world.check, "", Counter[str]()
    while True:
        try:
            reply = await world.admin.VerifyConversations(
                message_admin_service_pb2.VerifyConversationsRequest(page_size=20, page_token=token)
            )
        except HeliographError as error:
            check.require(False, f"the conversations could not be verified: {error}")
            return
        for one in ("lost", "doubled", "out_of_order", "hole", "wrong_unread", "wrong_head"):
            found[one] += getattr(reply, f"{one}_count")
        token = reply.next_page_token
        if not token:
            break
    for one, count in found.items():
        check.none_may_be(f"verify_{one}", count)
    letters = await world.admin.ListDeadLetters(message_admin_service_pb2.ListDeadLettersRequest())
    check.none_may_be("dead_letters", len(letters.dead_letters))
