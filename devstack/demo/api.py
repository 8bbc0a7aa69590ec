"""A client of the public API, as an app would be: GraphQL over HTTP, forms to the object store, a WebSocket."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import aiohttp

PROTOCOL = "graphql-transport-ws"
ANSWER_SECONDS = 10.0


class Refused(Exception):
    """The API answered with errors; `codes` are their `extensions.code`, in order."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        self.errors = errors
        self.codes = [error.get("extensions", {}).get("code", "") for error in errors]
        super().__init__(
            "; ".join(f"{error.get('message')} [{code}]" for error, code in zip(errors, self.codes, strict=True))
        )


async def refusal(call: Awaitable[Any]) -> str:
    """The code with which a call is refused; empty when it isn't."""
    try:
        await call
    except Refused as refused:
        return str(refused.codes[0])
    return ""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A photo as it came over HTTP."""

    status: int
    body: bytes
    content_type: str
    cache_control: str


class Api:
    """One GraphQL address and the connections to it."""

    def __init__(self, url: str) -> None:
        """`url` is the address of `/graphql`."""
        self.url = url
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the connections."""
        # Proxies of the environment are for the world outside.
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(ANSWER_SECONDS), trust_env=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close them."""
        if self._session is not None:
            await self._session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        """The open connections."""
        if self._session is None:
            raise RuntimeError("enter the block first")
        return self._session

    async def ask(self, document: str, variables: dict[str, Any], *, token: str | None) -> dict[str, Any]:
        """Run a query or mutation and return `data`; `Refused` when there are errors."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = {"query": document, "variables": variables}
        async with self.session.post(self.url, json=body, headers=headers) as response:
            answer = await response.json(content_type=None)
        if not isinstance(answer, dict):
            raise TypeError(f"the API answered {response.status} with something that is no GraphQL")
        if answer.get("errors"):
            raise Refused(answer["errors"])
        data: dict[str, Any] = answer["data"]
        return data

    async def post_form(self, form: dict[str, Any], content: bytes, *, content_type: str) -> int:
        """Send a file as the upload's form says; return the object store's status."""
        data = aiohttp.FormData()
        for one in form["fields"]:
            data.add_field(one["name"], one["value"])
        data.add_field("file", content, filename="photo", content_type=content_type)
        async with self.session.post(form["url"], data=data) as response:
            return response.status

    async def fetch(self, url: str) -> Fetched:
        """Load a photo, without any token."""
        async with self.session.get(url) as response:
            return Fetched(
                response.status,
                await response.read(),
                response.headers.get("Content-Type", ""),
                response.headers.get("Cache-Control", ""),
            )


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who uses the API."""

    api: Api = field(repr=False)
    name: str
    username: str
    user_id: str
    """Their id in GraphQL."""
    token: str = field(repr=False)

    async def ask(self, document: str, **variables: Any) -> dict[str, Any]:
        """Run a query or mutation as this person."""
        return await self.api.ask(document, variables, token=self.token)

    @asynccontextmanager
    async def listen(self, document: str, **variables: Any) -> AsyncIterator["Subscription"]:
        """Subscribe over a WebSocket of its own, until the end of the block."""
        address = self.api.url.replace("http", "ws", 1)
        async with self.api.session.ws_connect(address, protocols=(PROTOCOL,)) as socket:
            await socket.send_json({"type": "connection_init", "payload": {"authorization": f"Bearer {self.token}"}})
            acknowledged = await socket.receive_json(timeout=ANSWER_SECONDS)
            if acknowledged.get("type") != "connection_ack":
                raise ConnectionError(f"the WebSocket was answered with {acknowledged}")
            subscription = Subscription(socket)
            await subscription.start(document, variables)
            try:
                yield subscription
            finally:
                await subscription.stop()


class Subscription:
    """One subscription on one socket: what has come, in order."""

    _numbers = itertools.count(1)

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._id = str(next(self._numbers))
        self._arrived: asyncio.Queue[dict[str, Any] | Exception] = asyncio.Queue()
        self._reader: asyncio.Task[None] | None = None

    async def start(self, document: str, variables: dict[str, Any]) -> None:
        """Subscribe."""
        payload = {"query": document, "variables": variables}
        await self._socket.send_json({"id": self._id, "type": "subscribe", "payload": payload})
        self._reader = asyncio.create_task(self._read())

    async def stop(self) -> None:
        """Unsubscribe."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if not self._socket.closed:
            await self._socket.send_json({"id": self._id, "type": "complete"})

    async def next(self, *, within: float = ANSWER_SECONDS) -> dict[str, Any]:
        """Return the next event's `data`; `TimeoutError` when none comes in time."""
        async with asyncio.timeout(within):
            event = await self._arrived.get()
        if isinstance(event, Exception):
            raise event
        return event

    async def none(self, *, within: float) -> bool:
        """Whether nothing comes in this time."""
        try:
            await self.next(within=within)
        except TimeoutError:
            return True
        return False

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            frame = json.loads(message.data)
            match frame["type"]:
                case "next" if frame["payload"].get("errors"):
                    self._arrived.put_nowait(Refused(frame["payload"]["errors"]))
                case "next":
                    self._arrived.put_nowait(frame["payload"]["data"])
                case "error":
                    self._arrived.put_nowait(Refused(frame["payload"]))
                case "ping":
                    await self._socket.send_json({"type": "pong"})
        self._arrived.put_nowait(ConnectionError(f"the WebSocket was closed with {self._socket.close_code}"))
