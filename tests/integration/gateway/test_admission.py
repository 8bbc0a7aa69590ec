"""A2, of one process: at its limit it refuses at once, by either way, and takes requests again as places come free."""

import asyncio
import uuid

import pytest

from gateway.http import admission
from tests.fixtures.stack import eventually
from tests.integration.gateway.conftest import token

QUESTION = "{ viewer { username } }"
ANSWER = {"data": {"viewer": {"username": "alice"}}}


SEND = """mutation ($key: String!) {
  sendMessage(input: {recipientId: "VXNlcjoy", content: "hello", clientMessageId: $key}) { message { content } }
}"""
SENT = {"data": {"sendMessage": {"message": {"content": "hello"}}}}


def sending():
    return {"query": SEND, "variables": {"key": str(uuid.uuid4())}}


async def called(running, method, times):
    await eventually(lambda: [call for call, _ in running.world.calls].count(method) == times)


@pytest.fixture
async def full(start, monkeypatch):
    """A gateway with two places, both taken by requests that wait for feed_svc."""
    monkeypatch.setattr(admission, "MAX_IN_FLIGHT", 2)
    running = await start()
    running.world.slow["GetHomeFeed"] = 1.0
    waiting = [asyncio.create_task(running.post("{ feed { isStale } }")) for _ in range(2)]
    await called(running, "GetHomeFeed", 2)
    yield running
    assert [answer["data"]["feed"] for answer in await asyncio.gather(*waiting)] == [{"isStale": False}] * 2


@pytest.fixture
async def full_of_writes(start, monkeypatch):
    """A gateway with one place for requests and three for writes, which are taken by sends that wait for dm_svc."""
    monkeypatch.setattr(admission, "MAX_IN_FLIGHT", 1)
    monkeypatch.setattr(admission, "MAX_WRITES", 3)
    running = await start()
    running.world.slow["SendMessage"] = 1.0
    waiting = []
    for number in range(1, 4):
        waiting.append(asyncio.create_task(running.post(SEND, **sending()["variables"])))
        await called(running, "SendMessage", number)
    yield running
    assert await asyncio.gather(*waiting) == [SENT] * 3


async def test_A2_at_its_limit_it_refuses_by_http_and_says_when_to_come_back(full):
    headers = {"Authorization": f"Bearer {token(1)}"}
    async with full.http.post(full.url, json={"query": QUESTION}, headers=headers) as answer:
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "1"
        (error,) = (await answer.json())["errors"]
    assert error["extensions"] == {"code": "OVERLOADED", "retryAfterMs": 500}
    await eventually(lambda: answers(full))


async def answers(running):
    return await running.post(QUESTION) == ANSWER


async def sends(running):
    return await running.post(SEND, **sending()["variables"]) == SENT


async def test_A2_at_its_limit_it_refuses_by_websocket_and_keeps_the_socket(full):
    socket = await full.socket()
    await socket.send_json({"id": "1", "type": "subscribe", "payload": {"query": QUESTION}})
    refused = await socket.receive_json(timeout=5)
    assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "OVERLOADED")
    await eventually(lambda: answers(full))
    await socket.send_json({"id": "2", "type": "subscribe", "payload": {"query": QUESTION}})
    assert (await socket.receive_json(timeout=5))["payload"] == ANSWER
    await socket.close()


async def test_A2_writes_that_wait_keep_no_reads_out(full_of_writes):
    assert await full_of_writes.post(QUESTION) == ANSWER


async def test_A2_with_all_places_of_writes_taken_it_refuses_writes_by_either_way(full_of_writes):
    running = full_of_writes
    headers = {"Authorization": f"Bearer {token(1)}"}
    async with running.http.post(running.url, json=sending(), headers=headers) as answer:
        assert answer.status == 503
        assert (await answer.json())["errors"][0]["extensions"] == {"code": "OVERLOADED", "retryAfterMs": 500}
    socket = await running.socket()
    await socket.send_json({"id": "1", "type": "subscribe", "payload": sending()})
    refused = await socket.receive_json(timeout=5)
    assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "OVERLOADED")
    await called(running, "SendMessage", 3)  # neither of the two was executed
    await eventually(lambda: sends(running))
    await socket.send_json({"id": "2", "type": "subscribe", "payload": sending()})
    assert (await socket.receive_json(timeout=5))["payload"] == SENT
    await socket.close()


async def test_A2_a_socket_takes_places_of_writes_for_its_sends(start, monkeypatch):
    monkeypatch.setattr(admission, "MAX_IN_FLIGHT", 1)
    running = await start()
    running.world.slow["SendMessage"] = 0.2
    socket = await running.socket()
    for key in ("1", "2", "3"):
        await socket.send_json({"id": key, "type": "subscribe", "payload": sending()})
    await called(running, "SendMessage", 3)
    assert await running.post(QUESTION) == ANSWER
    answers = [await socket.receive_json(timeout=5) for _ in range(6)]
    assert [answer["payload"] for answer in answers if answer["type"] == "next"] == [SENT] * 3
    await socket.close()


async def test_A2_open_subscriptions_take_no_place(start, monkeypatch):
    monkeypatch.setattr(admission, "MAX_IN_FLIGHT", 1)
    running = await start()
    socket = await running.socket()
    for key in ("1", "2"):
        await socket.send_json(
            {"id": key, "type": "subscribe", "payload": {"query": "subscription { live { __typename } }"}}
        )
    assert await running.post(QUESTION) == ANSWER
    await socket.close()
