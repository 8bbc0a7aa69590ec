"""A2, of one process: at its limit it refuses at once, by either way, and takes requests again as places come free."""

import asyncio

import pytest

from gateway.http import admission
from tests.fixtures.stack import eventually
from tests.integration.gateway.conftest import token

QUESTION = "{ viewer { username } }"
ANSWER = {"data": {"viewer": {"username": "alice"}}}


@pytest.fixture
async def full(running, monkeypatch):
    """A gateway with two places, both taken by requests that wait for feed_svc."""
    monkeypatch.setattr(admission, "MAX_IN_FLIGHT", 2)
    running.world.slow["GetHomeFeed"] = 1.0
    waiting = [asyncio.create_task(running.post("{ feed { isStale } }")) for _ in range(2)]
    await eventually(lambda: [call for call, _ in running.world.calls].count("GetHomeFeed") == 2)
    yield running
    assert [answer["data"]["feed"] for answer in await asyncio.gather(*waiting)] == [{"isStale": False}] * 2


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


async def test_A2_at_its_limit_it_refuses_by_websocket_and_keeps_the_socket(full):
    socket = await full.socket()
    await socket.send_json({"id": "1", "type": "subscribe", "payload": {"query": QUESTION}})
    refused = await socket.receive_json(timeout=5)
    assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "OVERLOADED")
    await eventually(lambda: answers(full))
    await socket.send_json({"id": "2", "type": "subscribe", "payload": {"query": QUESTION}})
    assert (await socket.receive_json(timeout=5))["payload"] == ANSWER
    await socket.close()


async def test_A2_open_subscriptions_take_no_place(running, monkeypatch):
    monkeypatch.setattr(admission, "MAX_IN_FLIGHT", 1)
    socket = await running.socket()
    for key in ("1", "2"):
        await socket.send_json(
            {"id": key, "type": "subscribe", "payload": {"query": "subscription { live { __typename } }"}}
        )
    assert await running.post(QUESTION) == ANSWER
    await socket.close()
