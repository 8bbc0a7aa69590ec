"""The push service is told of messages whose recipients aren't connected."""

import asyncio
import json

from aiohttp import web

from dm_svc.peers.webhook import SIGNATURE, sign
from tests.fixtures.stack import eventually
from tests.integration.dm_svc.conftest import http_server, running_rig

SECRET = "s" * 32


async def test_the_push_service_hears_of_messages_for_those_who_are_not_connected(stack, tmp_path):
    heard, answers = [], [503, 200]

    async def take(request):
        body = await request.read()
        heard.append((body, request.headers[SIGNATURE]))
        return web.Response(status=answers.pop(0) if answers else 200)

    async with (
        http_server(take) as address,
        running_rig(stack, tmp_path, push_webhook_url=f"{address}/push", push_webhook_secret=SECRET) as rig,
    ):
        ann, ben, cid = rig.people(3)

        async def answer(message):
            await message.respond(b"")

        await rig.jetstream.hear(f"connected.{cid.user_id}", answer)
        sent = await ann.send(ben, "not a word of this leaves the house")
        await eventually(lambda: len(heard) == 2)
        await ann.send(cid, "cid is connected")
        await cid.history(ann)
        await asyncio.sleep(0.3)
    (first, signature), (second, _) = heard
    assert first == second, "after a 503 the same is told again"
    assert json.loads(first) == {
        "userId": str(ben.user_id),
        "messages": [
            {
                "messageId": sent.message_id,
                "conversationId": sent.conversation_id,
                "senderId": str(ann.user_id),
                "useq": 1,
            }
        ],
    }
    moment, _, given = signature.removeprefix("t=").partition(",v1=")
    assert given == sign(SECRET, int(moment), first)
    assert len(heard) == 2
