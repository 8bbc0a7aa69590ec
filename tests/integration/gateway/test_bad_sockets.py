"""G2: bad WebSocket input is shrugged off: closed with a code of the protocol, or answered; never 1006 or 1011."""

import asyncio
import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
import pytest
from graphql import validate
from strawberry.extensions.query_depth_limiter import create_validator

from gateway import limits
from gateway.schema import build
from tests.integration.gateway.conftest import Running, token
from tests.integration.gateway.http_corpus import doubling
from tests.integration.gateway.probe import probed

PROTOCOL = "graphql-transport-ws"
HELD_SECONDS = 0.05
SCHEMA = build()


@dataclass(frozen=True, slots=True)
class Case:
    """Messages on a fresh socket (`init`: after a good connection_init) and the code that it is closed with, if any."""

    name: str
    messages: tuple[str | bytes, ...]
    code: int | None
    init: bool = True


def case(name: str, *messages: Any, code: int | None, init: bool = True) -> Case:
    return Case(name, tuple(m if isinstance(m, (str, bytes)) else json.dumps(m) for m in messages), code, init)


def ask(query: Any, key: Any = "1", **more: Any) -> dict[str, Any]:
    return {"type": "subscribe", "id": key, "payload": {"query": query, **more}}


LIVE = "subscription { live { __typename } }"


def cases() -> Iterator[Case]:
    for text in (
        "",
        " ",
        "null",
        "1",
        '"a"',
        "[]",
        "{}",
        "{",
        "nul",
        "[" * 60_000,
        '{"type":' * 5_000,
        "NaN",
        '{"type":1}',
        '{"type":null}',
        '{"type":[]}',
        '{"type":"nothing"}',
        '{"type":"start","id":"1"}',
        '{"type":"stop"}',
        '{"type":"connection_ack"}',
        '{"type":"next","id":"1"}',
        '{"type":"error"}',
        '{"type":"\\ud800"}',
        "\0",
        "é" * 9_000,
    ):
        for init in (True, False):
            yield case(f"text {text[:20]!r} {init}", text, code=4400, init=init)
    for raw in (b"", b"\xff\xfe", b'{"type":"ping"}', b"\0" * 60_000):
        yield case(f"binary {raw[:10]!r}", raw, code=4400)
    for payload in (1, "x", [], True):
        for kind in ("ping", "pong", "connection_init"):
            yield case(f"{kind} with {payload!r}", {"type": kind, "payload": payload}, code=4400, init=False)
    for value in (1, None, [], {}, True, "", "x", "Bearer"):
        yield case(
            f"authorization {value!r}",
            {"type": "connection_init", "payload": {"authorization": value}},
            code=4403,
            init=False,
        )
    yield case("no authorization", {"type": "connection_init"}, code=4403, init=False)
    yield case("a second init", {"type": "connection_init"}, code=4429)
    yield case("subscribe before init", ask("{ __typename }"), code=4401, init=False)
    for key in (None, 1, "", [], {}, "x" * 129, True):
        yield case(f"id {str(key)[:10]!r}", ask("{ __typename }", key), code=4400)
        if key not in ("x" * 129,):
            yield case(f"complete {str(key)[:10]!r}", {"type": "complete", "id": key}, code=4400)
    for payload in (
        None,
        1,
        "x",
        [],
        {},
        {"query": 1},
        {"query": None},
        {"query": "{a}", "variables": []},
        {"query": "{a}", "operationName": 1},
        {"query": "{a}", "extensions": 1},
    ):
        yield case(f"payload {payload!r}", {"type": "subscribe", "id": "1", "payload": payload}, code=4400)
    yield case("an id twice", ask(LIVE), ask(LIVE), code=4409)
    yield case("25 subscriptions", *(ask(LIVE, str(i)) for i in range(25)), code=None)
    yield case("complete of what is not there", {"type": "complete", "id": "9"}, code=None)
    yield case("pong unasked", {"type": "pong"}, code=None)
    yield case("1,000 pings", *({"type": "ping"} for _ in range(1_000)), code=None)
    for query in (
        "",
        "{",
        "{ nothing }",
        doubling(30),
        "{a" * 9_000,
        "subscription { live { __typename } inbox { __typename } }",
        "{" + " ".join(f"a{i}:__typename" for i in range(500)) + "}",
        "subscription { nothing }",
        "mutation { nothing }",
    ):
        yield case(f"query {query[:20]!r}", ask(query), code=None)
    yield case(
        "variables of the wrong type",
        ask("query ($a: Int) { feed(first: $a) { isStale } }", variables={"a": "x"}),
        code=None,
    )
    yield case("a frame of 100 KB", "x" * 100_000, code=1009)
    chance = random.Random(11)
    good = json.dumps(ask("query A { viewer { id } }"))
    for index in range(12):
        text = list(good)
        for _ in range(chance.randint(1, 5)):
            text[chance.randrange(len(text))] = chr(chance.randrange(32, 1_000))
        yield case(f"noise {index}", "".join(text), code=-1)


CASES = list(cases())


async def play(running: Running, one: Case) -> int | None:
    """Send the messages and a ping; return the code that the socket was closed with, `None` if it answered the ping."""
    if one.init:
        channel = await running.socket()
    else:
        channel = await running.http.ws_connect(running.url, protocols=[PROTOCOL])
    try:
        for text in one.messages:
            await (channel.send_str(text) if isinstance(text, str) else channel.send_bytes(text))
        await channel.send_json({"type": "ping", "payload": {"last": True}})
    except (ConnectionError, aiohttp.ClientError):
        pass  # closed already; the code is still to be read
    pings = sum(1 for text in one.messages if text == '{"type": "ping"}') + 1
    while True:
        message = await channel.receive(timeout=10)
        if message.type is aiohttp.WSMsgType.TEXT:
            assert "Traceback" not in message.data
            pings -= json.loads(message.data)["type"] == "pong"
            if pings == 0:
                await channel.close()
                return None
        else:
            return channel.close_code


async def problems_with(running: Running, some: Iterable[Case]) -> list[str]:
    """What is wrong with how these cases end."""
    problems = []
    async with probed() as probe:
        for one in some:
            probe.take()
            code = await play(running, one)
            await asyncio.sleep(0.005)
            if (held := probe.take()) >= HELD_SECONDS:
                problems.append(f"{one.name}: held the loop for {held * 1000:.0f} ms")
            if (code != one.code and one.code != -1) or code in (1006, 1011):
                problems.append(f"{one.name}: {code} instead of {one.code}")
    return problems


async def test_G2_bad_websocket_input_is_answered_or_closed_by_the_protocol(running: Running) -> None:
    assert len(CASES) >= 100
    problems = await problems_with(running, CASES)
    assert not problems, "\n".join(problems)
    assert not running.hub._users


async def test_G2_a_socket_that_ends_abnormally_is_caught(
    running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A parser that lets through what is not JSON, as the stock handler does."""
    monkeypatch.setattr(orjson, "loads", json.loads)
    problems = await problems_with(running, (one for one in CASES if one.name.startswith("text ")))
    assert len([problem for problem in problems if ": 1006 " in problem or ": 1011 " in problem]) >= 5
    caplog.clear()


async def test_G2_a_stock_limiter_that_holds_the_loop_is_caught_on_a_socket(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strawberry's own limiter of depth measures a fragment anew at each spread."""
    stock = create_validator(limits.MAX_DEPTH, None)
    monkeypatch.setattr(limits, "check_structure", lambda tree: validate(SCHEMA, tree, [stock]))
    problems = await problems_with(running, [case("doubling", ask(doubling(16)), code=None)])
    assert [problem for problem in problems if "held the loop" in problem]


async def test_a_socket_that_says_nothing_is_closed(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.http.socket.INIT_SECONDS", 0.1)
    channel = await running.http.ws_connect(running.url, protocols=[PROTOCOL])
    assert (await channel.receive(timeout=5)).data == 4408


async def test_only_the_one_protocol_is_spoken(running: Running) -> None:
    for protocols in ([], ["graphql-ws"], ["other"]):
        channel = await running.http.ws_connect(running.url, protocols=protocols)
        assert (await channel.receive(timeout=5)).data == 4406


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://app.example.evil.example"])
async def test_pages_of_foreign_origins_open_no_socket(running: Running, origin: str) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await running.http.ws_connect(running.url, protocols=[PROTOCOL], origin=origin)
    assert refused.value.status == 403


async def test_pages_of_allowed_origins_do(running: Running) -> None:
    channel = await running.http.ws_connect(running.url, protocols=[PROTOCOL], origin="https://app.example")
    await channel.send_json({"type": "connection_init", "payload": {"authorization": f"Bearer {token(1)}"}})
    assert (await channel.receive_json(timeout=5))["type"] == "connection_ack"


async def test_a_stopping_gateway_tells_when_to_come_back(running: Running) -> None:
    channel = await running.socket()
    closing = asyncio.create_task(running.gateway.drain())
    message = await channel.receive(timeout=5)
    assert message.data == 1012
    assert 100 <= json.loads(message.extra)["reconnectAfterMs"] <= 5_000
    await closing
