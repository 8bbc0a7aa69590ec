"""G2: bad HTTP input is shrugged off."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import aiohttp
import orjson
import pytest
from graphql import validate
from strawberry.extensions.query_depth_limiter import create_validator

from gateway import limits
from gateway.http import endpoint
from gateway.schema import build
from tests.integration.gateway import http_corpus
from tests.integration.gateway.conftest import Running, token
from tests.integration.gateway.http_corpus import Case
from tests.integration.gateway.probe import probed

HELD_SECONDS = 0.05
CASES = list(http_corpus.cases())
SCHEMA = build()


async def send(running: Running, case: Case) -> tuple[int, bytes, str]:
    url = aiohttp.client.URL(running.url + ("?" + case.query_string if case.query_string else ""), encoded=True)
    headers = {"Authorization": f"Bearer {token(1)}", **case.headers}
    options: dict[str, Any] = {"data": case.body, "headers": headers}
    if not case.headers.get("Content-Type"):
        options["skip_auto_headers"] = ["Content-Type"]
    async with running.http.request(case.method, url, **options) as answer:
        return answer.status, await answer.read(), answer.headers.get("Content-Type", "")


async def problems_with(running: Running, cases: Iterable[Case]) -> list[str]:
    """What is wrong with the answers to these cases."""
    await running.post("{ feed { isStale } }")
    problems = []
    async with probed() as probe:
        for case in cases:
            probe.take()
            status, body, kind = await send(running, case)
            await asyncio.sleep(0.005)
            held = probe.take()
            codes = codes_of(body) if "json" in kind else []
            if not 200 <= status < 500 or b"Traceback" in body or b'File "' in body:
                problems.append(f"{case.name}: {status} {body[:200]!r}")
            if case.status is not None and status != case.status:
                problems.append(f"{case.name}: status {status} instead of {case.status} {body[:200]!r}")
            if case.code is not None and case.code not in codes:
                problems.append(f"{case.name}: {codes} instead of {case.code} {body[:200]!r}")
            if held >= HELD_SECONDS:
                problems.append(f"{case.name}: held the loop for {held * 1000:.0f} ms")
    return problems


async def test_G2_bad_http_input_is_answered_without_5xx_or_trace_and_never_holds_the_loop(running: Running) -> None:
    assert len(CASES) >= 150
    assert len({case.name for case in CASES}) == len(CASES)
    problems = await problems_with(running, CASES)
    assert not problems, "\n".join(problems)
    assert (await running.post("{ viewer { username } }")) == {"data": {"viewer": {"username": "alice"}}}


async def test_G2_a_stock_limiter_that_holds_the_loop_is_caught(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strawberry's own limiter of depth measures a fragment anew at each spread."""
    stock = create_validator(limits.MAX_DEPTH, None)
    monkeypatch.setattr(limits, "check_structure", lambda tree: validate(SCHEMA, tree, [stock]))
    case = next(case for case in CASES if case.name == "748 bytes of doubling fragments")
    assert case.body
    assert len(case.body) < 1_000
    problems = await problems_with(running, [case])
    assert [problem for problem in problems if "held the loop" in problem]


async def test_G2_an_exception_that_nobody_expects_is_caught(
    running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A parser that lets through what is not JSON, as the stock view does."""
    monkeypatch.setattr(endpoint, "_decoded", json.loads)
    problems = await problems_with(running, (case for case in CASES if case.name.startswith("body ")))
    assert len([problem for problem in problems if ": 500 " in problem]) >= 5
    caplog.clear()


def codes_of(body: bytes) -> list[str]:
    answer = orjson.loads(body) if body else {}
    return [error["extensions"]["code"] for error in answer.get("errors", [])]


@pytest.mark.parametrize(
    "raw",
    [
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /graphql HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /graphql HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        b"GET /graphql HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /graphql HTTP/1.1\r\nBad Header\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /../../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"G\x00T /graphql HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_G2_what_is_not_even_http_is_refused(running: Running, raw: bytes) -> None:
    host, port = running.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(raw)
    answer = await asyncio.wait_for(reader.read(300), 5)
    writer.close()
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")) or answer == b""
    assert b"Traceback" not in answer
