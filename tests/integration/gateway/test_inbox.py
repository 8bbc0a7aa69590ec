"""The inbox over a real socket: replay, live, holes, lost hints, resync."""

import asyncio
from typing import Any

import aiohttp
import pytest

from gateway.live.hub import InboxListener
from gateway.messages.inbox import InboxReader
from heliograph.dm.v1.inbox_pb2 import InboxEntry
from mesh.errors import Unavailable
from tests.fixtures.stack import eventually
from tests.integration.gateway.conftest import Running

INBOX = """subscription ($after: String) { inbox(after: $after) { __typename ... on InboxItem { cursor }
  ... on MessageReceived { message { number content sender { username } } }
  ... on ConversationRead { upToNumber unreadCount } ... on InboxResync { reason } } }"""


async def open_inbox(running: Running, after: str | None = None, user_id: int = 2) -> aiohttp.ClientWebSocketResponse:
    channel = await running.socket(user_id=user_id)
    await channel.send_json(
        {"id": "1", "type": "subscribe", "payload": {"query": INBOX, "variables": {"after": after}}}
    )
    return channel


async def event(channel: aiohttp.ClientWebSocketResponse) -> Any:
    message = await channel.receive_json(timeout=5)
    assert message["type"] == "next", message
    assert "errors" not in message["payload"], message
    return message["payload"]["data"]["inbox"]


def announce(running: Running, entries: list[InboxEntry], user_id: int = 2) -> None:
    """Announce entries as NATS would."""
    for listener in list(running.hub._inboxes(user_id)):
        listener.offer(entries)


def say(running: Running, content: str, number: int) -> list[InboxEntry]:
    running.world.say(1, 2, content, f"40000000-0000-4000-8000-{number:012}")
    return running.world.inboxes[2][-1:]


async def test_M5_a_new_device_begins_now_and_resumes_from_its_cursor(running: Running) -> None:
    channel = await open_inbox(running)
    caught_up = await event(channel)
    assert caught_up["__typename"] == "InboxCaughtUp"
    announce(running, say(running, "one", 1))
    first = await event(channel)
    assert first["message"] == {"number": 4, "content": "one", "sender": {"username": "alice"}}
    await channel.close()

    say(running, "two", 2)
    say(running, "three", 3)
    channel = await open_inbox(running, after=first["cursor"])
    assert [(await event(channel)).get("message", {}).get("content") for _ in range(3)] == ["two", "three", None]


async def test_M5_announcements_that_come_twice_or_out_of_order_are_shown_once_and_in_order(running: Running) -> None:
    channel = await open_inbox(running)
    await event(channel)
    for number in range(1, 6):
        say(running, str(number), number)
    log = running.world.inboxes[2]
    for at in (4, 2, 6, 3, 5, 3, 1, 7):
        announce(running, log[at : at + 1])
    assert [(await event(channel))["message"]["content"] for _ in range(5)] == ["1", "2", "3", "4", "5"]


async def test_M5_a_sweep_before_the_place_of_a_device_is_known_shows_nothing(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the registration of a device and the server's word that it is heard for: seconds, while NATS is away."""
    channel = await open_inbox(running)
    await event(channel)
    announce(running, say(running, "one", 1))
    first = await event(channel)
    await channel.close()
    say(running, "two", 2)
    register, is_heard = running.hub.open_inbox, asyncio.Event()

    async def open_slowly(user_id: int, listener: InboxListener) -> None:
        await register(user_id, listener)
        await is_heard.wait()

    monkeypatch.setattr(running.hub, "open_inbox", open_slowly)
    channel = await open_inbox(running, after=first["cursor"])
    await eventually(lambda: len(running.hub._inboxes(2)) == 1)
    await running.hub.sweep()
    announce(running, running.world.inboxes[2][:1])
    await asyncio.sleep(0.05)  # for what must not come
    announce(running, say(running, "three", 3))
    is_heard.set()
    assert [(await event(channel)).get("message", {}).get("content") for _ in range(3)] == ["two", "three", None]


async def test_M4_a_lost_announcement_is_found_by_the_sweep(running: Running) -> None:
    channel = await open_inbox(running)
    await event(channel)
    say(running, "never announced", 1)
    await running.hub.sweep()
    assert (await event(channel))["message"]["content"] == "never announced"


async def test_M4_without_the_sweep_the_lost_announcement_stays_unseen(running: Running) -> None:
    """The sabotage of the test above: what it shows is the sweep's doing."""
    channel = await open_inbox(running)
    await event(channel)
    say(running, "never announced", 1)
    await channel.send_json({"type": "ping"})
    assert (await channel.receive_json(timeout=5))["type"] == "pong"


async def test_M5_a_cursor_that_cannot_be_served_gets_a_resync(running: Running) -> None:
    start = await open_inbox(running)
    good = (await event(start))["cursor"]
    foreign = await event(await open_inbox(running, user_id=1))
    for after in ("rubbish", foreign["cursor"], good[:-2] + "xx"):
        channel = await open_inbox(running, after=after)
        resync = await event(channel)
        assert (resync["__typename"], resync["reason"]) == ("InboxResync", "CURSOR_INVALID")
        assert (await event(channel))["__typename"] == "InboxCaughtUp"
        await channel.close()
    running.world.oldest_kept[2] = 5
    say(running, "one", 1)
    say(running, "two", 2)
    channel = await open_inbox(running, after=good)
    resync = await event(channel)
    assert (resync["__typename"], resync["reason"]) == ("InboxResync", "TOO_OLD")


async def test_the_replay_waits_for_dm_svc_to_come_back(running: Running) -> None:
    running.world.failing["ReplayInbox"] = Unavailable()
    channel = await open_inbox(running)
    await channel.send_json({"type": "ping"})
    assert (await channel.receive_json(timeout=5))["type"] == "pong"
    del running.world.failing["ReplayInbox"]
    assert (await event(channel))["__typename"] == "InboxCaughtUp"


async def test_entries_announced_before_the_log_has_them_wait_for_the_log(running: Running) -> None:
    channel = await open_inbox(running)
    await event(channel)
    say(running, "one", 1)
    say(running, "two", 2)
    hidden = running.world.inboxes[2][3:]
    del running.world.inboxes[2][3:]
    announce(running, hidden[1:])
    await channel.send_json({"type": "ping"})
    assert (await channel.receive_json(timeout=5))["type"] == "pong"
    running.world.inboxes[2] += hidden
    assert [(await event(channel))["message"]["content"] for _ in range(2)] == ["one", "two"]


async def test_a_closed_inbox_leaves_nothing_behind(running: Running) -> None:
    channel = await open_inbox(running)
    await event(channel)
    assert running.hub._users
    await channel.close()
    await running.gateway.drain()
    assert not running.hub._users


def test_a_reader_that_is_not_read_fails_instead_of_growing() -> None:
    reader = InboxReader(None)  # type: ignore[arg-type]
    reader._is_started = True  # and has caught up
    for useq in range(1, 2_000):
        reader.offer([InboxEntry(useq=useq)])
    assert len(reader._events) == 1
