"""The inbox as Server-Sent Events: the same log, order and refusals as over a socket."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
import pytest

from gateway.http import inbox_stream
from gateway.messages import inbox
from mesh.errors import Unavailable
from tests.fixtures.stack import eventually
from tests.integration.gateway.conftest import KEY_ID, Running, Starter, token
from tests.integration.gateway.test_inbox import announce, say


@dataclass(slots=True)
class Event:
    """One event as a browser would hand it over."""

    id: str | None
    name: str
    data: Any

    @property
    def inbox(self) -> Any:
        return self.data["data"]["inbox"]


class Stream:
    """Reads events by the rules of the HTML standard."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer
        self.retry_ms: int | None = None

    async def next(self) -> Event:
        """Return the next event; `EOFError` at the end."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(5):
            while line := await self.answer.content.readline():
                text = line.decode().removesuffix("\n")
                if not text and "data" in fields:
                    return Event(fields.get("id"), fields.get("event", "message"), orjson.loads(fields["data"]))
                name, _, value = text.partition(":")
                if name == "retry":
                    self.retry_ms = int(value)
                elif name:
                    fields[name] = value.removeprefix(" ")
        raise EOFError

    async def kinds(self, count: int) -> list[str]:
        return [(await self.next()).inbox["__typename"] for _ in range(count)]


@asynccontextmanager
async def opened(
    running: Running,
    *,
    after: str | None = None,
    last_event_id: str | None = None,
    user_id: int = 2,
    origin: str | None = None,
) -> AsyncIterator[Stream]:
    given = {"Authorization": f"Bearer {token(user_id)}", "Accept": "text/event-stream"}
    if origin is not None:
        given["Origin"] = origin
    if last_event_id is not None:
        given["Last-Event-ID"] = last_event_id
    async with running.http.get(
        f"http://{running.address}/inbox", params={"after": after} if after else {}, headers=given
    ) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.content_type == "text/event-stream"
        yield Stream(answer)


async def texts(stream: Stream, count: int) -> list[str]:
    return [(await stream.next()).inbox["message"]["content"] for _ in range(count)]


async def test_M5_a_stream_begins_now_and_resumes_behind_the_last_event_id(running: Running) -> None:
    async with opened(running) as stream:
        caught_up = await stream.next()
        assert caught_up.inbox["__typename"] == "InboxCaughtUp"
        assert caught_up.id == caught_up.inbox["cursor"]
        assert stream.retry_ms is not None
        announce(running, say(running, "one", 1))
        first = await stream.next()
        assert first.inbox["message"]["content"] == "one"
        assert first.inbox["message"]["sender"]["username"] == "alice"
    say(running, "two", 2)
    say(running, "three", 3)
    async with opened(running, last_event_id=first.id) as stream:
        assert await texts(stream, 2) == ["two", "three"]
        assert await stream.kinds(1) == ["InboxCaughtUp"]
    async with opened(running, after=caught_up.id, last_event_id=first.id) as stream:
        assert await texts(stream, 1) == ["two"], "what the browser saw last wins over the address"
    async with opened(running, after=caught_up.id) as stream:
        assert await texts(stream, 1) == ["one"]


async def test_M5_two_hundred_cuts_show_each_event_once_and_in_order(running: Running) -> None:
    async with opened(running) as stream:
        caught_up = await stream.next()
    seen, place = [], caught_up.id
    for number in range(1, 201):
        announce(running, say(running, str(number), number))
        async with opened(running, last_event_id=place) as stream:
            event = await stream.next()
        seen.append(event.inbox["message"]["content"])
        place = event.id
    assert seen == [str(number) for number in range(1, 201)]


async def test_M5_ids_that_cannot_be_served_get_a_resync(running: Running) -> None:
    async with opened(running) as stream:
        good = await stream.next()
    async with opened(running, user_id=1) as stream:
        foreign = await stream.next()
    assert good.id
    assert foreign.id
    for wrong in ("rubbish", foreign.id, good.id[:-2] + "xx", "\u00e9\u00ff", "0", "x" * 2_000, "\t.\t"):
        async with opened(running, last_event_id=wrong) as stream:
            resync = await stream.next()
            assert (resync.inbox["__typename"], resync.inbox["reason"]) == ("InboxResync", "CURSOR_INVALID")
            assert await stream.kinds(1) == ["InboxCaughtUp"]
    running.world.oldest_kept[2] = 5
    say(running, "one", 1)
    say(running, "two", 2)
    async with opened(running, last_event_id=good.id) as stream:
        resync = await stream.next()
        assert resync.inbox["reason"] == "TOO_OLD"


async def test_M7_a_stream_needs_a_token_and_shows_only_its_owners_inbox(running: Running) -> None:
    address = f"http://{running.address}/inbox"
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Bearer {token(2, lifetime_seconds=-5)}"}):
        async with running.http.get(address, headers=headers) as answer:
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert (await answer.json())["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    async with opened(running, user_id=3) as stranger:
        assert await stranger.kinds(1) == ["InboxCaughtUp"]
        announce(running, say(running, "for bob alone", 1))
        await running.hub.sweep()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await stranger.next()


async def test_other_methods_are_refused_and_pages_of_listed_origins_may_read(running: Running) -> None:
    address = f"http://{running.address}/inbox"
    for method in ("POST", "PUT", "DELETE", "HEAD"):
        async with running.http.request(method, address) as answer:
            assert answer.status == 405
    async with running.http.options(address, headers={"Origin": "https://app.example"}) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert "Last-Event-ID" in answer.headers["Access-Control-Allow-Headers"]
    async with opened(running, origin="https://app.example") as stream:
        assert stream.answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
    async with running.http.get(address, headers={"Origin": "https://evil.example"}) as answer:
        assert answer.status == 403


async def test_a_stream_ends_with_its_token_and_says_so(running: Running) -> None:
    given = {"Authorization": f"Bearer {token(2, lifetime_seconds=1)}"}
    async with running.http.get(f"http://{running.address}/inbox", headers=given) as answer:
        stream = Stream(answer)
        assert await stream.kinds(1) == ["InboxCaughtUp"]
        closing = await stream.next()
        assert closing.name == "closing"
        assert closing.data["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        with pytest.raises(EOFError):
            await stream.next()
    assert not running.hub._users


async def test_M5_an_event_that_cannot_be_told_whole_ends_the_stream_and_comes_with_the_next_one(
    running: Running,
) -> None:
    async with opened(running) as stream:
        caught_up = await stream.next()
        running.world.failing["BatchGetUsers"] = Unavailable()
        announce(running, say(running, "one", 1))
        closing = await stream.next()
        assert (closing.name, closing.id) == ("closing", None)
        assert closing.data["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
        with pytest.raises(EOFError):
            await stream.next()
    del running.world.failing["BatchGetUsers"]
    async with opened(running, last_event_id=caught_up.id) as stream:
        assert await texts(stream, 1) == ["one"]


async def test_a_device_that_does_not_read_is_cut_and_resumes(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_stream, "WRITE_SECONDS", 0.2)
    monkeypatch.setattr(inbox, "QUEUED_EVENTS", 16)
    host, _, port = running.address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    writer.write(f"GET /inbox HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token(2)}\r\n\r\n".encode())
    await reader.readuntil(b"InboxCaughtUp")
    number = 0

    def keeps_talking() -> bool:
        nonlocal number
        for _ in range(50):
            number += 1
            announce(running, say(running, "x" * 9_000, number))
        return not running.hub._users

    await eventually(keeps_talking)
    writer.close()
    async with opened(running) as stream:
        assert await stream.kinds(1) == ["InboxCaughtUp"]


async def test_cost_is_taken_and_only_registered_documents_do_not_lock_the_stream_out(
    start: Starter, tmp_path: Any
) -> None:
    registry = tmp_path / "registry.json"
    registry.write_text("{}")
    running = await start(
        environment="production", cost_per_minute=1_000, trusted_documents=registry, only_trusted="on"
    )
    statuses = []
    for _ in range(40):
        headers = {"Authorization": f"Bearer {token(2)}"}
        async with running.http.get(f"http://{running.address}/inbox", headers=headers) as answer:
            statuses.append(answer.status)
    assert statuses[0] == 200
    assert statuses[-1] == 429


async def test_streams_end_when_the_process_stops(running: Running) -> None:
    async with opened(running) as stream:
        assert await stream.kinds(1) == ["InboxCaughtUp"]
        await running.gateway.drain()
        with pytest.raises(EOFError):
            await stream.next()
    await eventually(lambda: not running.hub._users)
    async with running.http.get(
        f"http://{running.address}/inbox", headers={"Authorization": f"Bearer {token(2)}"}
    ) as answer:
        assert answer.status == 503


async def test_streams_end_when_the_key_of_their_tokens_is_withdrawn(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.auth.KEYS_LOOK_SECONDS", 0.0)
    running = await start()
    async with opened(running) as stream:
        await stream.next()
        await running.gateway.check_tokens()
        announce(running, say(running, "one", 1))
        assert await texts(stream, 1) == ["one"]
        keys = orjson.loads(start.keys.read_bytes())
        start.keys.write_bytes(orjson.dumps({"keys": [{**keys["keys"][0], "kid": f"not {KEY_ID}"}]}))
        os.utime(start.keys, (1, 1))
        await running.gateway.check_tokens()
        with pytest.raises(EOFError):
            await stream.next()
