"""The short way of an event: at once, the same for all devices of a person, in order with what goes the long way."""

import json
from typing import Any

import aiohttp
import pytest

from gateway import ids
from gateway.execution import push
from gateway.http.socket import framed
from gateway.messages.inbox import Arrived, InboxReader
from heliograph.dm.v1.inbox_pb2 import InboxEntry
from tests.integration.gateway.conftest import Running, Starter
from tests.integration.gateway.test_inbox import announce, event, say

SHORT = """subscription ($after: String) { inbox(after: $after) { __typename ... on InboxItem { cursor }
  ... on MessageReceived { message { number content } } } }"""
LONG = SHORT.replace("content", "content sender { username }")


def pushed() -> int:
    return int(push._pushed._value.get())


async def opened(running: Running, query: str, user_id: int = 2, **variables: Any) -> aiohttp.ClientWebSocketResponse:
    channel = await running.socket(user_id=user_id)
    await channel.send_json({"id": "1", "type": "subscribe", "payload": {"query": query, "variables": variables}})
    return channel


async def test_all_devices_of_a_person_get_the_answer_that_was_made_once(running: Running) -> None:
    devices = [await opened(running, SHORT) for _ in range(3)]
    for device in devices:
        assert (await event(device))["__typename"] == "InboxCaughtUp"
    before, entries = pushed(), []
    for number in range(1, 21):
        entries = say(running, f"{number}", number)
        announce(running, entries)
    assert pushed() == before + 60
    assert len(running.hub.answers) == 20
    for device in devices:
        assert [(await event(device))["message"]["content"] for _ in range(20)] == [f"{n}" for n in range(1, 21)]


async def test_the_short_way_and_the_long_way_say_the_same(start: Starter) -> None:
    said = []
    for compiled in ("on", "off"):
        running = await start(compiled_plans=compiled)
        channel = await opened(running, SHORT)
        await event(channel)
        before = pushed()
        announce(running, say(running, 'with "quotes" and ünïcödé', 1))
        said.append(await channel.receive_str(timeout=5))
        assert (pushed() > before) is (compiled == "on")
    assert said[0] == said[1]


@pytest.mark.parametrize("size", [1, 125, 126, 65_535, 65_536, 200_000])
async def test_frames_of_every_size_arrive_whole(size: int, running: Running) -> None:
    channel = await opened(running, SHORT)
    await event(channel)
    announce(running, say(running, "x" * size, 1))
    assert (await event(channel))["message"]["content"] == "x" * size
    assert len(framed(b"x" * size)) - size in (2, 4, 10)


async def test_what_must_be_loaded_goes_the_long_way_and_stays_in_order(running: Running) -> None:
    channel = await opened(running, LONG)
    await event(channel)
    before = pushed()
    for number in range(1, 6):
        announce(running, say(running, f"{number}", number))
    seen = [(await event(channel))["message"] for _ in range(5)]
    assert [one["content"] for one in seen] == ["1", "2", "3", "4", "5"]
    assert seen[0]["sender"] == {"username": "alice"}
    assert pushed() == before


async def test_the_id_of_a_sender_is_at_hand_and_takes_no_call(running: Running) -> None:
    channel = await opened(running, SHORT.replace("content", "content sender { __typename id }"))
    await event(channel)
    before, calls = pushed(), len(running.world.calls)
    announce(running, say(running, "one", 1))
    assert (await event(channel))["message"]["sender"] == {"__typename": "User", "id": ids.encode("User", "1")}
    assert (pushed(), len(running.world.calls)) == (before + 1, calls)


async def test_an_answer_is_never_shared_with_another_person(running: Running) -> None:
    mine, theirs = await opened(running, SHORT, user_id=1), await opened(running, SHORT, user_id=2)
    for channel in (mine, theirs):
        await event(channel)
    entries = say(running, "one", 1)
    announce(running, running.world.inboxes[1][-1:], user_id=1)
    announce(running, entries, user_id=2)
    assert running.world.inboxes[1][-1].useq == entries[0].useq
    cursors = [(await event(channel))["cursor"] for channel in (mine, theirs)]
    assert cursors[0] != cursors[1]


async def test_M5_a_device_that_stops_reading_is_sent_nothing_more_until_it_resumes_and_misses_nothing(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.messages.inbox.QUEUED_EVENTS", 8)
    slow = await opened(running, SHORT)
    cursor, seen = (await event(slow))["cursor"], 0
    transport = slow._response.connection.transport  # type: ignore[union-attr]
    transport.pause_reading()  # type: ignore[union-attr]
    count = 0
    while running.hub._inboxes(2) and not any(reader._failed for reader in running.hub._inboxes(2)):  # type: ignore[attr-defined]
        announce(running, say(running, "x" * 20_000, count := count + 1))
        assert count < 2_000
    transport.resume_reading()  # type: ignore[union-attr]
    while (message := await slow.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
        shown = json.loads(message.data)["payload"]["data"]["inbox"]
        assert shown["message"]["number"] == 4 + seen
        cursor, seen = shown["cursor"], seen + 1
    assert message.data == 1013
    assert 0 < seen < count
    again = await opened(running, SHORT, after=cursor)
    rest = [(await event(again))["message"]["number"] for _ in range(count - seen)]
    assert rest == list(range(4 + seen, 4 + count))


async def test_M5_a_short_way_that_overtakes_is_caught(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sabotage: events take the short way although another still waits."""

    def overtaking(reader: InboxReader, entry: InboxEntry) -> None:
        reader._shown = entry.useq
        assert reader._at_once is not None
        assert reader._at_once(Arrived(entry))

    channel = await opened(running, SHORT)
    await event(channel)
    (reader,) = running.hub._inboxes(2)
    reader._is_idle = False  # type: ignore[attr-defined]
    announce(running, say(running, "1", 1))
    monkeypatch.setattr(InboxReader, "_show", overtaking)
    announce(running, say(running, "2", 2))
    assert [(await event(channel))["message"]["content"] for _ in range(2)] == ["2", "1"]
