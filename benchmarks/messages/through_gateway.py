"""Through a gateway: `sendMessage` at one end, the recipient's WebSocket at the other."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson

from benchmarks.bench import Bench
from benchmarks.load import closed_loop, open_loop, percentile
from benchmarks.measure import cpu_seconds, memory_mib
from benchmarks.messages.rig import CONTENT, FIRST_USER, Rig
from gateway import ids

PAIRS = 100
IN_FLIGHT = 24
"""Fewer than a gateway takes at once; it refuses the others."""
SEND = "mutation Send($input: SendMessageInput!) { sendMessage(input: $input) { message { id sentAt } } }"
INBOX = """subscription Inbox { inbox { __typename ... on InboxItem { cursor }
  ... on MessageReceived { message { id number content sender { id } } } } }"""


class Sockets:
    """The open inboxes of the recipients, and when each message came."""

    def __init__(self) -> None:
        self.arrived: dict[str, float] = {}
        self.news = asyncio.Event()

    async def wait(self, message_ids: set[str]) -> None:
        """Wait until all of these have come."""
        async with asyncio.timeout(60):
            while not message_ids <= self.arrived.keys():
                self.news.clear()
                await self.news.wait()

    async def read(self, channel: aiohttp.ClientWebSocketResponse, ready: asyncio.Event) -> None:
        """Read one socket to its end."""
        async for frame in channel:
            event = orjson.loads(frame.data)
            if event["type"] != "next":
                continue
            shown = event["payload"]["data"]["inbox"]
            if message := shown.get("message"):
                self.arrived[message["id"]] = time.monotonic()
                self.news.set()
            ready.set()


async def measure_gateway(bench: Bench, rig: Rig) -> None:
    """Measure capacity, then delivery at half of it."""
    seconds = bench.size(8, 4)
    bench.say(f"{PAIRS} pairs through one gateway, {IN_FLIGHT} in flight; every recipient has an open socket")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http, _opened(rig, http) as sockets:

        async def send(number: int) -> str:
            sender = FIRST_USER + 2 * (number % PAIRS)
            return await _send(rig, http, sender, sender + 1)

        await closed_loop(send, callers=4, seconds=1.0)
        sent: set[str] = set()

        async def counted(number: int) -> None:
            sent.add(await send(number))

        used = cpu_seconds(rig.stack.pid("gateway.serve") or 0)
        began = time.monotonic()
        outcome = await closed_loop(counted, callers=IN_FLIGHT, seconds=seconds)
        await sockets.wait(sent)
        ceiling = len(sent) / (time.monotonic() - began)
        used = cpu_seconds(rig.stack.pid("gateway.serve") or 0) - used
        bench.figure("gateway_messages_per_s", ceiling, "acknowledged and shown on the recipient's socket")
        bench.figure("gateway_cpu_ms", used * 1000 / max(len(sent), 1), "per message, sent and shown")
        bench.figure("gateway_memory_mib", memory_mib(rig.stack.pid("gateway.serve") or 0))
        bench.require(outcome.failed == 0, f"every send succeeds: {dict(outcome.failures)}")

        bench.say(f"From the intended send to the recipient's socket at {ceiling / 2:.0f}/s, half of it (open loop)")
        intended: dict[str, float] = {}

        async def timed(number: int) -> None:
            at = time.monotonic()
            intended[await send(number)] = at

        outcome = await open_loop(timed, per_s=ceiling / 2, seconds=bench.size(10, 4))
        await sockets.wait(set(intended))
        delays = tuple(sorted((sockets.arrived[key] - at) * 1000 for key, at in intended.items()))
        bench.figure("deliver_p50_ms", percentile(delays, 50), "send -> recipient's socket")
        bench.figure(
            "deliver_p99_ms", percentile(delays, 99), f"the driver's own lateness: {outcome.driver_late_ms:.1f} ms"
        )
        bench.require(outcome.failed == 0, f"every send succeeds: {dict(outcome.failures)}")


async def _send(rig: Rig, http: aiohttp.ClientSession, sender: int, recipient: int) -> str:
    given = {
        "recipientId": ids.encode("User", str(recipient)),
        "content": CONTENT,
        "clientMessageId": str(uuid.uuid4()),
    }
    async with http.post(
        f"http://{rig.gateway}/graphql",
        data=orjson.dumps({"query": SEND, "variables": {"input": given}}),
        headers={"Authorization": f"Bearer {rig.viewer(sender).token}", "Content-Type": "application/json"},
    ) as answer:
        body: dict[str, Any] = orjson.loads(await answer.read())
    if "errors" in body:
        raise RuntimeError(str(body["errors"][0]["extensions"]["code"]))
    return str(body["data"]["sendMessage"]["message"]["id"])


@asynccontextmanager
async def _opened(rig: Rig, http: aiohttp.ClientSession) -> AsyncIterator[Sockets]:
    sockets = Sockets()
    channels, reading = [], []
    for number in range(PAIRS):
        recipient = FIRST_USER + 2 * number + 1
        channel = await http.ws_connect(f"http://{rig.gateway}/graphql", protocols=["graphql-transport-ws"])
        authorization = f"Bearer {rig.viewer(recipient).token}"
        await channel.send_json({"type": "connection_init", "payload": {"authorization": authorization}})
        await channel.send_json({"type": "subscribe", "id": "1", "payload": {"query": INBOX}})
        ready = asyncio.Event()
        reading.append(asyncio.create_task(sockets.read(channel, ready)))
        await asyncio.wait_for(ready.wait(), 10)
        channels.append(channel)
    try:
        yield sockets
    finally:
        for channel in channels:
            await channel.close()
        await asyncio.gather(*reading)
