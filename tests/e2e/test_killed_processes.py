"""kill -9 of any process: nothing that was acknowledged is lost, and the system is whole again by itself."""

import asyncio
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from devstack.demo.api import Api, Person, Refused
from devstack.demo.cast import Cast
from devstack.demo.chapters.messages import INBOX, history, send
from devstack.demo.chapters.posts import feed, ids, post
from devstack.demo.photos import choose
from devstack.stack import Stack
from tests.fixtures.stack import eventually

CAT = next(photo for photo in choose(None) if photo.name == "chelsea")


async def test_F6_a_post_is_delivered_when_the_worker_was_killed_after_the_commit(system: Stack, cast: Cast) -> None:
    await system.hold("feed_svc.work")
    made = await post(cast.ada, CAT)
    system.release("feed_svc.work")
    await system.wait_ready("feed_svc.work")

    async def all_have_it() -> bool:
        return [ids(await feed(person)) for person in (cast.ben, cast.cleo)] == [[made["id"]]] * 2

    await eventually(all_have_it, within=15)


async def test_M2_a_message_is_kept_and_delivered_when_its_persister_was_killed(system: Stack, cast: Cast) -> None:
    async with cast.cleo.listen(INBOX, after=None) as inbox:
        await inbox.next()
        # The second message of a new conversation waits until the first one is persisted; this one is known already.
        await send_until_answered(cast.ben, cast.cleo, "hello")
        await inbox.next()
        await system.hold("dm_svc.work")
        sent = [await send_until_answered(cast.ben, cast.cleo, f"message {number}") for number in range(3)]
        system.release("dm_svc.work")
        received = [(await inbox.next(within=30))["inbox"]["message"]["id"] for _ in sent]
    assert received == [one["id"] for one in sent]


async def test_M5_a_killed_gateway_costs_no_message_and_doubles_none(system: Stack, cast: Cast, api: Api) -> None:
    async with cast.cleo.listen(INBOX, after=None) as inbox:
        cursor = (await inbox.next())["inbox"]["cursor"]
        system.kill("gateway.serve")
        with pytest.raises(ConnectionError):
            await inbox.next()
    await system.wait_ready("gateway.serve")
    sent = [await send_until_answered(cast.ben, cast.cleo, f"message {number}") for number in range(3)]
    received = []
    async with cast.cleo.listen(INBOX, after=cursor) as inbox:
        while len(received) < len(sent):
            event = (await inbox.next())["inbox"]
            if event["__typename"] == "MessageReceived":
                received.append(event["message"]["id"])
    assert received == [one["id"] for one in sent]


async def test_M3_a_send_that_is_retried_through_a_killed_service_makes_one_message(system: Stack, cast: Cast) -> None:
    key = str(uuid4())
    first = await send(cast.ben, cast.cleo, "once", key=key)
    system.kill("dm_svc.serve")
    again = await send_until_answered(cast.ben, cast.cleo, "once", key=key)
    assert again["id"] == first["id"]
    assert len((await history(cast.cleo, cast.ben))["messages"]["edges"]) == 1


@pytest.mark.parametrize("server", ["redis", "nats", "postgres"])
async def test_the_system_is_whole_again_after_a_server_was_killed(system: Stack, cast: Cast, server: str) -> None:
    before = await post(cast.ada, CAT)
    system.kill(server)
    await system.wait_ready(server)
    for process in system.state.children:
        await system.wait_ready(process)

    async def posts_again() -> bool:
        try:
            made = await post(cast.ada, CAT)
        except Refused:
            return False
        return ids(await feed(cast.ada))[0] == made["id"]

    await eventually(posts_again, within=30, every=0.5)

    async def ben_has_all() -> bool:
        try:
            return before["id"] in ids(await feed(cast.ben))
        except Refused:
            return False

    await eventually(ben_has_all, within=15)


async def send_until_answered(sender: Person, recipient: Person, content: str, *, key: str = "") -> dict[str, Any]:
    """Send as an app does: again with the same key until there is an answer."""
    key = key or str(uuid4())
    for _ in range(100):
        try:
            return await send(sender, recipient, content, key=key)
        except (Refused, TimeoutError, aiohttp.ClientError):
            await asyncio.sleep(0.2)
    pytest.fail("no answer within 20 s")
