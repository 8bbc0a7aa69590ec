"""G2: who sends half a request, or takes no answer, holds nothing but their own connection, and that not for long."""

import asyncio
import socket
from contextlib import closing, suppress

import pytest

from gateway.http import admission
from tests.fixtures.stack import eventually
from tests.integration.gateway.conftest import Running, token
from tests.integration.gateway.probe import probed

HELD_SECONDS = 0.05
HEAD = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


async def connect(running: Running, sent: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = running.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    await writer.drain()
    return reader, writer


def connections(running: Running) -> int:
    assert running.gateway._runner
    assert running.gateway._runner.server
    return len(running.gateway._runner.server.connections)


@pytest.mark.parametrize("sent", [b"", b"P", HEAD[:-2], HEAD])
async def test_G2_a_connection_that_never_asks_is_ended(
    running: Running, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    reader, writer = await connect(running, sent)
    await eventually(lambda: connections(running) == 1)
    await running.gateway.end_waiting()
    assert connections(running) == 1
    monkeypatch.setattr("gateway.http.connections.FIRST_REQUEST_SECONDS", 0.0)
    running.gateway._connections._until.clear()
    await running.gateway.end_waiting()
    with suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(1), 5) == b""
    writer.close()


async def test_G2_a_connection_that_asked_for_whatever_has_time_to_ask_again(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = await connect(running, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await asyncio.wait_for(reader.readline(), 5)).split()[1] == b"200"
    monkeypatch.setattr("gateway.http.connections.FIRST_REQUEST_SECONDS", 0.0)
    await running.gateway.end_waiting()
    assert connections(running) == 1
    writer.close()


async def test_G2_a_body_that_never_ends_is_answered_and_ended(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.http.endpoint.BODY_SECONDS", 0.1)
    reader, writer = await connect(running, HEAD + b'Content-Length: 100\r\n\r\n{"query"')
    answer = await asyncio.wait_for(reader.readline(), 5)
    assert answer.split()[1] == b"408"
    writer.close()


async def test_G2_bodies_that_never_end_take_no_place_of_those_who_ask(running: Running) -> None:
    half = HEAD + b'Content-Length: 100\r\n\r\n{"query"'
    stalled = [await connect(running, half) for _ in range(admission.MAX_IN_FLIGHT + 8)]
    await eventually(lambda: len(running.gateway._connections._busy) == len(stalled))
    assert await running.post("{ viewer { username } }") == {"data": {"viewer": {"username": "alice"}}}
    for _, writer in stalled:
        writer.close()
    await eventually(lambda: not running.gateway._connections._busy)


async def test_G2_answers_that_nobody_reads_are_given_up_and_hold_nobody_else(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.http.connections.IDLE_SECONDS", 0.0)
    body = b'{"query": "{ feed(first: 50) { edges { node { id caption photoUrl author { id } } } } }"}'
    request = HEAD + b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n" % (token(1).encode(), len(body)) + body
    host, port = running.address.split(":")
    with closing(socket.create_connection((host, int(port)))) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        async with probed() as probe:
            for _ in range(300):
                with suppress(BlockingIOError):  # the gateway takes no more from who takes nothing
                    deaf.send(request)
                await asyncio.sleep(0)
            answer = await running.post("{ viewer { username } }", user_id=2)
            assert answer == {"data": {"viewer": {"username": "bob"}}}
            assert probe.take() < HELD_SECONDS
        await eventually(lambda: not running.gateway._connections._busy)

        async def is_ended() -> bool:
            await running.gateway.end_waiting()
            return connections(running) <= 1  # the other client's own

        await eventually(is_ended)
