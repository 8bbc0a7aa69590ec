"""Through a gateway: `sendMessage` at one end, the recipient's WebSocket at the other.

Sent over HTTP, one request a message, and over the open sockets of the senders. Each recipient's messages are counted:
in order, each once.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson

from benchmarks.bench import Bench
from benchmarks.hot_document.http_load import Connection
from benchmarks.load import closed_loop, percentile
from benchmarks.measure import memory_mib
from benchmarks.messages.devices import Device
from benchmarks.messages.rig import CONTENT, FIRST_USER, Rig
from benchmarks.messages.sending import Send, send_at
from benchmarks.messages.spent import Spent
from gateway import ids

PAIRS = 100
IN_FLIGHT = 112
"""Fewer writes than a gateway takes at once; it refuses the others."""
ARRIVE_SECONDS = 60
COMPARED_PER_S = 750
"""A rate that stays: half of what a gateway must reach. The half of what it does reach grows with it."""
SEND = "mutation Send($input: SendMessageInput!) { sendMessage(input: $input) { message { id sentAt } } }"
_KEY = b"00000000-0000-0000-0000-000000000000"
"""Stands for the key in a request that is made once and sent with many keys."""


class Recipients:
    """The open inboxes, when each message came, and how many came doubled or out of order."""

    def __init__(self) -> None:
        self.arrived: dict[str, float] = {}
        self.wrong = 0
        self._last: dict[int, int] = {}
        self._news = asyncio.Event()

    def hear(self, recipient: int, event: dict[str, Any]) -> None:
        """Take an event of a recipient's inbox."""
        if (message := event.get("message")) is None:
            return
        expected = self._last.get(recipient, message["number"] - 1) + 1
        self.wrong += message["number"] != expected
        self._last[recipient] = message["number"]
        self.arrived[message["id"]] = time.monotonic()
        self._news.set()

    async def wait(self, message_ids: set[str]) -> None:
        """Wait until all of these have come."""
        async with asyncio.timeout(ARRIVE_SECONDS):
            while not message_ids <= self.arrived.keys():
                self._news.clear()
                await self._news.wait()


async def measure_gateway(bench: Bench, rig: Rig) -> None:
    """Measure capacity over HTTP and over sockets, then delivery at half of the latter."""
    bench.say(f"{PAIRS} pairs through one gateway, {IN_FLIGHT} in flight; every recipient has an open socket")
    async with _recipients(rig) as recipients, _over_http(rig) as by_http, _over_sockets(rig) as by_socket:
        await _capacity(bench, rig, recipients, by_http, "gateway_http")
        ceiling = await _capacity(bench, rig, recipients, by_socket, "gateway")
        bench.figure("gateway_memory_mib", memory_mib(rig.stack.pid("gateway.serve") or 0))
        await _delivery(bench, recipients, by_socket, ceiling / 2, "deliver")
        await _delivery(bench, recipients, by_socket, COMPARED_PER_S, f"deliver_at_{COMPARED_PER_S}")
        bench.require(recipients.wrong == 0, f"each message is shown once, in order; {recipients.wrong} are not")


async def _capacity(bench: Bench, rig: Rig, recipients: Recipients, send: Send, name: str) -> float:
    sent: set[str] = set()

    async def counted(number: int) -> None:
        sent.add(await send(number))

    await closed_loop(counted, callers=IN_FLIGHT, seconds=1.0)
    await recipients.wait(sent)
    sent.clear()
    spent = Spent(rig)
    began = time.monotonic()
    outcome = await closed_loop(counted, callers=IN_FLIGHT, seconds=bench.size(8, 4))
    await recipients.wait(sent)
    per_s = len(sent) / (time.monotonic() - began)
    bench.figure(f"{name}_messages_per_s", per_s, "acknowledged and shown on the recipient's socket")
    spent.show(bench, name, len(sent))
    bench.require(outcome.failed == 0, f"every send succeeds: {dict(outcome.failures)}")
    return per_s


async def _delivery(bench: Bench, recipients: Recipients, send: Send, per_s: float, name: str) -> None:
    bench.say(f"From the intended send to the recipient's socket at {per_s:.0f}/s (open loop)")
    outcome, intended = await send_at(per_s, send, seconds=bench.size(10, 4))
    await recipients.wait(set(intended))
    delays = tuple(sorted((recipients.arrived[key] - at) * 1000 for key, at in intended.items()))
    bench.figure(f"{name}_p50_ms", percentile(delays, 50), f"send -> recipient's socket, {per_s:.0f} messages/s")
    bench.figure(
        f"{name}_p99_ms", percentile(delays, 99), f"the driver's own lateness: {outcome.driver_late_ms:.1f} ms"
    )
    bench.require(outcome.failed == 0, f"every send succeeds: {dict(outcome.failures)}")


def _sender(number: int) -> int:
    return FIRST_USER + 2 * (number % PAIRS)


def _payload(recipient: int) -> bytes:
    """Return the JSON of a send, with a place for its key."""
    given = {
        "recipientId": ids.encode("User", str(recipient)),
        "content": CONTENT,
        "clientMessageId": _KEY.decode(),
    }
    return orjson.dumps({"query": SEND, "variables": {"input": given}})


@asynccontextmanager
async def _recipients(rig: Rig) -> AsyncIterator[Recipients]:
    recipients = Recipients()
    devices = []
    try:
        for number in range(PAIRS):
            recipient = _sender(number) + 1

            def hear(event: dict[str, Any], recipient: int = recipient) -> None:
                recipients.hear(recipient, event)

            devices.append(await Device.open(rig, recipient, hear))
        yield recipients
    finally:
        for device in devices:
            device.abort()


@asynccontextmanager
async def _over_sockets(rig: Rig) -> AsyncIterator[Send]:
    """Senders with a socket each, without an inbox on it: over HTTP they have none either."""
    devices = {sender: await Device.open(rig, sender) for sender in map(_sender, range(PAIRS))}
    payloads = {sender: _payload(sender + 1) for sender in devices}

    async def send(number: int) -> str:
        sender = _sender(number)
        data = await devices[sender].ask(payloads[sender].replace(_KEY, str(uuid.uuid4()).encode()))
        return str(data["sendMessage"]["message"]["id"])

    try:
        yield send
    finally:
        for device in devices.values():
            device.abort()


@asynccontextmanager
async def _over_http(rig: Rig) -> AsyncIterator[Send]:
    """Requests over connections that are kept, as many as are in flight."""
    host, _, port = rig.gateway.rpartition(":")
    loop = asyncio.get_running_loop()
    opened: list[Connection] = []
    free: list[Connection] = []
    requests = {sender: _request(rig, sender) for sender in map(_sender, range(PAIRS))}

    async def send(number: int) -> str:
        if not free:
            _, connection = await loop.create_connection(Connection, host, int(port))
            opened.append(connection)
            free.append(connection)
        connection = free.pop()
        body = await connection.ask(requests[_sender(number)].replace(_KEY, str(uuid.uuid4()).encode()))
        free.append(connection)
        return str(orjson.loads(body)["data"]["sendMessage"]["message"]["id"])

    try:
        yield send
    finally:
        for connection in opened:
            connection.close()


def _request(rig: Rig, sender: int) -> bytes:
    body = _payload(sender + 1)
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: {rig.gateway}\r\nContent-Type: application/json\r\n"
        f"Accept: application/json\r\nAuthorization: Bearer {rig.viewer(sender).token}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
