"""What a socket is held to: heartbeat, bounds, limits that HTTP has too, tokens that end, and a way to leave."""

import asyncio
import json
import os
from typing import Any

import aiohttp
import pytest

from tests.fixtures.stack import eventually
from tests.integration.gateway.conftest import KEY_ID, Running, Starter, token
from tests.integration.gateway.test_inbox import announce, event, open_inbox, say

PROTOCOL = "graphql-transport-ws"
LIVE = "subscription { live { __typename } }"
FEED = "{ feed(first: 50) { edges { node { id } } } }"


async def ask(channel: aiohttp.ClientWebSocketResponse, query: str, key: str = "1", **variables: Any) -> Any:
    """The first answer to an operation."""
    await channel.send_json({"id": key, "type": "subscribe", "payload": {"query": query, "variables": variables}})
    while (message := await channel.receive_json(timeout=5))["id"] != key:
        pass
    return message


def open_sockets(running: Running) -> int:
    return len(running.gateway._sockets._open)


async def test_a_device_that_answers_no_heartbeat_is_given_up(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.http.socket.HEARTBEAT_SECONDS", 0.1)
    channel = await running.http.ws_connect(running.url, protocols=[PROTOCOL], autoping=False)
    assert (await channel.receive(timeout=5)).type is aiohttp.WSMsgType.PING
    assert open_sockets(running) == 1
    await eventually(lambda: open_sockets(running) == 0, within=5)


async def test_a_heartbeat_that_is_answered_keeps_the_socket_open(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.http.socket.HEARTBEAT_SECONDS", 0.05)
    channel = await running.http.ws_connect(running.url, protocols=[PROTOCOL], autoping=False)
    for _ in range(5):
        assert (await channel.receive(timeout=5)).type is aiohttp.WSMsgType.PING
        await channel.pong()
    assert open_sockets(running) == 1


async def test_a_socket_has_at_most_20_operations_and_stays_open_past_them(running: Running) -> None:
    channel = await running.socket()
    for number in range(20):
        await channel.send_json({"id": str(number), "type": "subscribe", "payload": {"query": LIVE}})
    refused = await ask(channel, LIVE, "20")
    assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "TOO_MANY_OPERATIONS")
    await channel.send_json({"id": "0", "type": "complete"})
    assert (await ask(channel, "{ viewer { id } }", "21"))["type"] == "next"


async def test_operations_of_a_socket_pay_from_the_bucket_that_http_pays_from(start: Starter) -> None:
    running = await start(cost_per_minute=1_000)
    channel = await running.socket()
    answers = [await ask(channel, FEED, str(number)) for number in range(10)]
    codes = [one["payload"][0]["extensions"]["code"] for one in answers if one["type"] == "error"]
    assert codes
    assert set(codes) == {"RATE_LIMITED"}
    by_http = await running.post(FEED)
    assert by_http["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
    assert by_http["errors"][0]["extensions"]["retryAfterMs"] > 0
    assert (await running.post(FEED, user_id=2)).get("errors") is None


async def test_a_mutation_over_a_socket_is_held_to_the_limits_of_one_by_http(running: Running) -> None:
    channel = await running.socket()
    like = 'mutation { likePost(input: {postId: "UG9zdDoxMDI"}) { post { viewerHasLiked } } }'
    assert (await ask(channel, like))["payload"] == {"data": {"likePost": {"post": {"viewerHasLiked": True}}}}
    flood = "mutation { " + " ".join(f"a{i}: {like[11:-2]}" for i in range(30)) + " }"
    by_socket = (await ask(channel, flood, "2"))["payload"][0]["extensions"]
    by_http = (await running.post(flood))["errors"][0]["extensions"]
    assert by_socket == by_http
    assert by_socket["code"] == "QUERY_TOO_COMPLEX"


async def test_a_slow_reader_is_closed_with_a_code_to_resume_by_and_misses_nothing(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.messages.inbox.QUEUED_EVENTS", 8)
    slow, quick = await open_inbox(running), await open_inbox(running, user_id=1)
    cursor = (await event(slow))["cursor"]
    await event(quick)
    transport = slow._response.connection.transport  # type: ignore[union-attr]
    transport.pause_reading()  # type: ignore[union-attr]
    count = 0
    while running.hub._inboxes(2) and not any(reader._failed for reader in running.hub._inboxes(2)):  # type: ignore[attr-defined]
        announce(running, say(running, "x" * 10_000, count := count + 1))
        announce(running, running.world.inboxes[1][-1:], user_id=1)
        assert (await event(quick))["message"]["number"] == count + 3
    transport.resume_reading()  # type: ignore[union-attr]
    seen = 0
    while (message := await slow.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
        shown = json.loads(message.data)["payload"]["data"]["inbox"]
        cursor, seen = shown["cursor"], seen + 1
    assert message.data == 1013
    assert seen < count
    again = await open_inbox(running, after=cursor)
    rest = [(await event(again))["message"]["number"] for _ in range(count - seen)]
    assert rest == list(range(seen + 4, count + 4))


async def test_a_device_that_reads_nothing_at_all_is_given_up(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.http.socket.SEND_SECONDS", 0.2)
    stalled = await open_inbox(running)
    await event(stalled)
    stalled._response.connection.transport.pause_reading()  # type: ignore[union-attr]
    number = 0

    async def given_up() -> bool:
        nonlocal number
        for _ in range(100):
            announce(running, say(running, "x" * 10_000, number := number + 1))
        return open_sockets(running) == 0

    await eventually(given_up, within=10)
    assert not running.hub._users


async def test_sockets_leave_with_different_advice_when_the_process_stops(running: Running) -> None:
    channels = [await running.socket() for _ in range(12)]
    draining = asyncio.create_task(running.gateway.drain())
    closed = [await channel.receive(timeout=5) for channel in channels]
    await draining
    assert {message.data for message in closed} == {1012}
    assert len({json.loads(message.extra)["reconnectAfterMs"] for message in closed}) > 6
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await running.http.ws_connect(running.url, protocols=[PROTOCOL])
    assert refused.value.status == 503


async def test_sockets_and_streams_end_when_the_key_of_their_tokens_is_withdrawn(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.auth.KEYS_LOOK_SECONDS", 0.0)
    running = await start()
    channel = await running.socket()
    headers = {"Authorization": f"Bearer {token(1)}"}
    stream = await running.http.get(running.url.replace("graphql", "inbox"), headers=headers)
    await stream.content.readline()
    await running.gateway.check_tokens()
    assert (await ask(channel, "{ viewer { id } }"))["type"] == "next"
    keys = json.loads(start.keys.read_text())
    start.keys.write_text(json.dumps({"keys": [{**keys["keys"][0], "kid": f"not {KEY_ID}"}]}))
    os.utime(start.keys, (1, 1))
    await running.gateway.check_tokens()
    while (message := await channel.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
        pass
    assert (message.data, message.extra.split(":")[0]) == (4403, "UNAUTHENTICATED")
    async with asyncio.timeout(5):
        await stream.read()  # to its end
    async with running.http.post(running.url, json={"query": "{ viewer { id } }"}, headers=headers) as answer:
        assert answer.status == 401
