"""Writers: they repeat each send with its key until it is acknowledged, at dm_svc itself or through a gateway."""

import asyncio
import random
import time
import uuid

import aiohttp

from gateway import ids
from heliograph.dm.v1 import message_service_pb2
from mesh.errors import HeliographError
from tests.chaos.messages.world import Sent, World

WRITERS = 16
CUT_SHARE = 0.05
CUT_SECONDS = (0.02, 0.1)
PASSING = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL")
"""Statuses after which a send is repeated."""
PASSING_CODES = (
    "UNAVAILABLE",
    "MESSAGING_UNAVAILABLE",
    "DATABASE_UNAVAILABLE",
    "MESSAGES_CATCHING_UP",
    "OVERLOADED",
    "DEADLINE_EXCEEDED",
    "INTERNAL",
)
"""The same as a gateway says them."""
SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id conversationId } } }"


class Passing(Exception):
    """A send was not acknowledged; it is repeated."""


async def write(world: World, *, sends: int, faults: int, longest_seconds: float) -> None:
    """Send until there are enough sends and faults."""
    check = world.check
    end = time.monotonic() + longest_seconds

    def is_enough() -> bool:
        enough = len(world.sent) >= sends and sum(check.faults.values()) >= faults
        return enough or time.monotonic() > end

    async def writer(number: int) -> None:
        sender = world.users[number % len(world.users)]
        world.act_as(sender)
        draw = random.Random(number)
        while not is_enough():
            recipient = draw.choice([one for one in world.users if one != sender])
            world.sent.append(await send(world, sender, recipient, str(uuid.uuid4()), by_gateway=number % 2 == 1))
            if draw.random() < 0.05:
                await _mark_read(world, sender, recipient)

    async with asyncio.TaskGroup() as group:
        for number in range(WRITERS):
            group.create_task(writer(number))
    check.require(len(world.sent) >= sends, f"{sends} sends were wanted, there were {len(world.sent)}")
    check.require(sum(check.faults.values()) >= faults, f"{faults} faults were wanted")


async def send(world: World, sender: int, recipient: int, content: str, *, by_gateway: bool = False) -> Sent:
    """Send one message until it is acknowledged."""
    key = str(uuid.uuid4())
    issued = time.monotonic()
    tries = 0
    while True:
        tries += 1
        # Now and then the caller gives up at about the moment of the commit, and doesn't learn of it.
        is_cut = tries == 1 and random.random() < CUT_SHARE
        world.cut_calls += is_cut
        timeout = random.uniform(*CUT_SECONDS) if is_cut else None
        try:
            if by_gateway and world.gateways:
                message_id, conversation_id = await _mutate(world, sender, recipient, content, key, timeout)
            else:
                message_id, conversation_id = await _call(world, recipient, content, key, timeout)
        except Passing:
            if world.check.sabotage == "new_key_per_retry":
                key = str(uuid.uuid4())
            await asyncio.sleep(0.05)
        else:
            return Sent(message_id, conversation_id, sender, issued, time.monotonic(), tries)


async def _call(world: World, recipient: int, content: str, key: str, timeout: float | None) -> tuple[str, str]:
    try:
        reply = await world.messages.SendMessage(
            message_service_pb2.SendMessageRequest(recipient_id=recipient, content=content, client_message_id=key),
            timeout=timeout,
        )
    except HeliographError as error:
        if error.status not in PASSING:
            raise
        raise Passing from error
    return reply.message.message_id, reply.message.conversation_id


async def _mutate(
    world: World, sender: int, recipient: int, content: str, key: str, timeout: float | None
) -> tuple[str, str]:
    variables = {
        "input": {"recipientId": ids.encode("User", str(recipient)), "content": content, "clientMessageId": key}
    }
    try:
        async with world.http.post(
            f"http://{random.choice(world.gateways)}/graphql",
            json={"query": SEND, "variables": variables},
            headers={"Authorization": f"Bearer {world.tokens[sender]}"},
            timeout=aiohttp.ClientTimeout(timeout or 4.0),
        ) as answer:
            body = await answer.json()
    except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
        raise Passing from error
    if "errors" in body:
        code = body["errors"][0]["extensions"]["code"]
        if code not in PASSING_CODES:
            raise AssertionError(f"a good send was refused: {body}")
        raise Passing
    message = body["data"]["sendMessage"]["message"]
    return ids.uuid("Message", message["id"]), ids.pair("Conversation", message["conversationId"])


async def _mark_read(world: World, reader: int, other: int) -> None:
    try:
        found = await world.messages.GetConversationWithUser(
            message_service_pb2.GetConversationWithUserRequest(user_id=other)
        )
        conversation = found.conversation
        if conversation.last_number > conversation.read_number:
            await world.messages.MarkRead(
                message_service_pb2.MarkReadRequest(
                    conversation_id=conversation.conversation_id,
                    up_to_number=random.randint(conversation.read_number + 1, conversation.last_number),
                )
            )
    except HeliographError:
        return  # it is tried again with the next message
