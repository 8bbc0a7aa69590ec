"""A2, of one process: while it is behind it refuses at once, by either way, and takes requests again when it isn't."""

import asyncio

import pytest

from gateway.http import admission
from mesh.errors import Overloaded
from tests.integration.gateway.conftest import token

QUESTION = "{ viewer { username } }"


@pytest.fixture
async def behind(running, monkeypatch):
    """The gateway, whose event loop has just been measured as late."""
    monkeypatch.setattr(running.gateway.admission, "_late", 1.0)
    return running


async def test_A2_a_process_that_is_behind_refuses_by_http_with_a_time_to_come_back(behind):
    headers = {"Authorization": f"Bearer {token(1)}"}
    async with behind.http.post(behind.url, json={"query": QUESTION}, headers=headers) as answer:
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "1"
        (error,) = (await answer.json())["errors"]
    assert error["extensions"] == {"code": "OVERLOADED", "retryAfterMs": 500}


async def test_A2_a_process_that_is_behind_refuses_by_websocket_and_keeps_the_socket(behind):
    socket = await behind.socket()
    await socket.send_json({"id": "1", "type": "subscribe", "payload": {"query": QUESTION}})
    refused = await socket.receive_json(timeout=5)
    assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "OVERLOADED")
    behind.gateway.admission._late = 0.0
    await socket.send_json({"id": "2", "type": "subscribe", "payload": {"query": QUESTION}})
    assert (await socket.receive_json(timeout=5))["type"] == "next"


async def test_A2_lateness_is_measured_and_forgotten_when_it_is_over():
    measured = admission.Admission()
    watching = asyncio.create_task(measured.watch())
    await asyncio.sleep(0)
    burn(4 * admission.LATE_SECONDS)
    for _ in range(10):  # the timer's turn has come, late; the measuring task's comes a few steps after it
        await asyncio.sleep(0)
        if measured._late > admission.LATE_SECONDS:
            break
    with pytest.raises(Overloaded):
        measured.check()
    async with asyncio.timeout(5):
        while measured._late > admission.LATE_SECONDS:
            await asyncio.sleep(admission.TICK_SECONDS)
    measured.check()
    watching.cancel()


def burn(seconds):
    end = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < end:
        pass


async def test_A2_no_more_than_so_many_are_taken_at_once(monkeypatch):
    monkeypatch.setattr(admission, "MOST_IN_FLIGHT", 2)
    taken = admission.Admission()
    with taken, taken, pytest.raises(Overloaded):
        taken.check()
    taken.check()
