"""G2: bad HTTP input is shrugged off."""

import asyncio
import gc
from typing import Any

import aiohttp
import orjson
import pytest

from tests.integration.gateway import http_corpus
from tests.integration.gateway.conftest import Running, token
from tests.integration.gateway.http_corpus import Case
from tests.integration.gateway.probe import probed

HELD_SECONDS = 0.05
CASES = list(http_corpus.cases())


async def send(running: Running, case: Case) -> tuple[int, bytes, str]:
    url = aiohttp.client.URL(running.url + ("?" + case.query_string if case.query_string else ""), encoded=True)
    headers = {"Authorization": f"Bearer {token(1)}", **case.headers}
    options: dict[str, Any] = {"data": case.body, "headers": headers}
    if not case.headers.get("Content-Type"):
        options["skip_auto_headers"] = ["Content-Type"]
    async with running.http.request(case.method, url, **options) as answer:
        return answer.status, await answer.read(), answer.headers.get("Content-Type", "")


async def test_G2_bad_http_input_is_answered_without_5xx_or_trace_and_never_holds_the_loop(running: Running) -> None:
    assert len(CASES) >= 150
    assert len({case.name for case in CASES}) == len(CASES)
    await running.post("{ feed { isStale } }")
    problems = []
    gc.collect()
    gc.freeze()
    async with probed() as probe:
        for case in CASES:
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
    gc.unfreeze()
    assert not problems, "\n".join(problems)
    assert (await running.post("{ viewer { username } }")) == {"data": {"viewer": {"username": "alice"}}}


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
