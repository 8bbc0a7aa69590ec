"""Messages: acknowledged and delivered, beside raw publishing to the same JetStream with the same sync.

Ours: `SendMessage` at dm_svc's gRPC face, by people who know one another; a message counts when its announcement has
reached a listener on `dm.inbox.*`, as a gateway's hub has it. Reference: payloads of the same size published with ids
to as many streams of the same server, by this process, at once. The driver, dm_svc, its log worker and the servers
share the cores.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nats.js.api import StreamConfig

from benchmarks.bench import Bench
from benchmarks.load import closed_loop, open_loop, percentile
from benchmarks.measure import cpu_seconds, interleaved, memory_mib
from devstack.certificates import Authority
from devstack.keys import mint_token
from devstack.stack import Stack
from heliograph.dm.v1 import message_service_pb2, message_service_pb2_grpc
from heliograph.events.v1 import message_events_pb2
from heliograph.feed.v1.graph_service_pb2_grpc import add_GraphServiceServicer_to_server
from mesh import auth, jetstream, postgres
from mesh.auth import TokenVerifier, Viewer
from mesh.config import PostgresConfig, TlsConfig, TokenConfig
from mesh.grpc import client, server
from mesh.grpc.server import Service, allow
from mesh.grpc.tls import Credentials
from mesh.health import Health
from mesh.jetstream import JetStream
from tests.chaos.messages.world import GRAPH, EveryoneKnowsEveryone

FIRST_USER = 1_000
IN_FLIGHT = 128
PAYLOAD_BYTES = 220
"""About the size of a log entry with a short text."""
STREAMS = 8
CONTENT = "See you at eight by the lighthouse, bring the camera."


@dataclass
class Rig:
    """dm_svc, and a listener where gateways stand."""

    bench: Bench
    stack: Stack
    stub: message_service_pb2_grpc.MessageServiceStub
    jetstream: JetStream
    key: Path
    viewers: dict[int, Viewer] = field(default_factory=dict)
    arrived: dict[str, float] = field(default_factory=dict)
    """When each message reached its recipient's listener."""
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, sender: int, recipient: int) -> str:
        if sender not in self.viewers:
            token = mint_token(self.key, sender)
            self.viewers[sender] = Viewer(sender, 2**40, token)
        auth.set_viewer(self.viewers[sender])
        reply = await self.stub.SendMessage(
            message_service_pb2.SendMessageRequest(
                recipient_id=recipient, content=CONTENT, client_message_id=str(uuid.uuid4())
            )
        )
        return reply.message.message_id

    async def wait(self, holds: Callable[[], bool]) -> None:
        """Wait until what was acknowledged has arrived."""
        async with asyncio.timeout(60):
            while not holds():
                self.news.clear()
                await self.news.wait()

    def hear(self, message: Any) -> None:
        now = time.monotonic()
        event = message_events_pb2.InboxEntriesDelivered.FromString(message.data)
        for entry in event.entries:
            received = entry.message_received
            if received.message_id and received.sender_id != event.user_id:
                self.arrived[received.message_id] = now
        self.news.set()


async def run(bench: Bench) -> None:
    """Measure capacity beside the reference, delivery at half of it, one hot conversation, and long histories."""
    async with _rig(bench) as rig:
        ceiling = await _capacity(bench, rig)
        await _delivery(bench, rig, ceiling)
        await _hot(bench, rig)
        await _history(bench, rig)


async def _capacity(bench: Bench, rig: Rig) -> float:
    seconds = bench.size(8, 4)
    people = bench.size(20_000, 2_000)
    bench.say(f"Sends among {people // 2} conversations, {IN_FLIGHT} in flight, and raw publishes to {STREAMS} streams")

    async def sent() -> float:
        before = len(rig.arrived)
        began = time.monotonic()

        async def one(number: int) -> None:
            sender = FIRST_USER + 2 * (number % (people // 2))
            await rig.send(sender, sender + 1)

        outcome = await closed_loop(one, callers=IN_FLIGHT, seconds=seconds)
        bench.require(outcome.failed == 0, f"every send succeeds: {dict(outcome.failures)}")
        await rig.wait(lambda: len(rig.arrived) - before >= outcome.answered)
        return outcome.answered / (time.monotonic() - began)

    async def raw() -> float:
        async def one(number: int) -> None:
            await rig.jetstream.publish(f"raw.{number % STREAMS}.x", bytes(PAYLOAD_BYTES), message_id=str(uuid.uuid4()))

        return (await closed_loop(one, callers=IN_FLIGHT, seconds=seconds)).per_s

    used = {name: cpu_seconds(rig.stack.pid(name) or 0) for name in ("dm_svc.serve", "dm_svc.work")}
    compared = await interleaved(bench.size(5, 2), sent=sent, raw=raw)
    busy = {name: cpu_seconds(rig.stack.pid(name) or 0) - before for name, before in used.items()}
    bench.figure("grpc_messages_per_s", compared.median("sent"), "acknowledged and delivered to the listener")
    bench.figure("raw_jetstream_per_s", compared.median("raw"), "the reference: nothing but the synced log")
    bench.figure("ratio_to_raw_jetstream", compared.ratio("sent", "raw"))
    for name, cpu in busy.items():
        bench.figure(f"{name.replace('.', '_')}_cpu_ms", cpu * 1000 / max(len(rig.arrived), 1), "per message")
        bench.figure(f"{name.replace('.', '_')}_memory_mib", memory_mib(rig.stack.pid(name) or 0))
    return compared.median("sent")


async def _delivery(bench: Bench, rig: Rig, ceiling: float) -> None:
    rate = ceiling / 2
    bench.say(f"From the intended send to the recipient's listener at {rate:.0f}/s, half the ceiling (open loop)")
    intended: dict[str, float] = {}

    async def one(number: int) -> None:
        at = time.monotonic()
        sender = FIRST_USER + 2 * (number % 1_000)
        intended[await rig.send(sender, sender + 1)] = at

    outcome = await open_loop(one, per_s=rate, seconds=bench.seconds)
    await rig.wait(lambda: intended.keys() <= rig.arrived.keys())
    delays = tuple(sorted((rig.arrived[key] - at) * 1000 for key, at in intended.items()))
    bench.figure("ack_p50_ms", outcome.percentile_ms(50), "of the acknowledgement")
    bench.figure("ack_p99_ms", outcome.percentile_ms(99), f"the driver's own lateness: {outcome.driver_late_ms:.1f} ms")
    bench.figure("listener_p50_ms", percentile(delays, 50), "send -> recipient's listener")
    bench.figure("listener_p99_ms", percentile(delays, 99))
    bench.require(outcome.failed == 0, f"every send succeeds: {dict(outcome.failures)}")


async def _hot(bench: Bench, rig: Rig) -> None:
    bench.say("One conversation: all sends go to one partition and one pair of inboxes")

    async def one(number: int) -> None:
        pair = (FIRST_USER, FIRST_USER + 1)
        await rig.send(pair[number % 2], pair[1 - number % 2])

    outcome = await closed_loop(one, callers=IN_FLIGHT, seconds=bench.size(8, 4))
    bench.figure("hot_conversation_per_s", outcome.per_s, "acknowledged, one conversation")
    bench.require(outcome.failed == 0, f"every send succeeds: {dict(outcome.failures)}")


async def _history(bench: Bench, rig: Rig) -> None:
    bench.say("A page out of the middle of a conversation, as it grows")
    points = {}
    reader, other = 1, 2
    auth.set_viewer(Viewer(reader, 2**40, mint_token(rig.key, reader)))
    await rig.send(reader, other)
    for size in (1_000, 10_000, 100_000) if bench.quick else (1_000, 100_000, 1_000_000):
        await _grow(rig, size)
        pages = bench.size(300, 60)
        began = time.perf_counter()
        auth.set_viewer(Viewer(reader, 2**40, mint_token(rig.key, reader)))
        token = ""
        for _ in range(pages):
            page = await rig.stub.ListMessages(
                message_service_pb2.ListMessagesRequest(conversation_id="1-2", page_size=20, page_token=token)
            )
            token = page.next_page_token
        points[size] = (time.perf_counter() - began) * 1000 / pages
    bench.figure("history_growth_per_doubling", bench.scaling("messages", "ms per page", points), "1.0: flat")


async def _grow(rig: Rig, size: int) -> None:
    """Fill the conversation up to so many messages, past the log: only the tables are read here."""
    dsn = rig.stack.postgres.dsn("dm_svc")
    async with postgres.connect(PostgresConfig(dsn, None, 2, 600.0)) as database, database.transaction() as connection:
        await connection.execute(
            """
            INSERT INTO messages (conversation_id, number, message_id, sender_id, client_message_id, content,
                                  low_count, log_sequence, send_time)
            SELECT '1-2', n, gen_random_uuid(), 1, 'grown', %(content)s, n, 0, now()
            FROM generate_series((SELECT last_number + 1 FROM conversations WHERE conversation_id = '1-2'), %(size)s) n
            """,
            {"content": CONTENT, "size": size},
        )
        await connection.execute(
            "UPDATE conversations SET last_number = %(size)s, low_count = %(size)s WHERE conversation_id = '1-2'",
            {"size": size},
        )


@asynccontextmanager
async def _rig(bench: Bench) -> AsyncIterator[Rig]:
    async with AsyncExitStack() as exits:
        stack = await exits.enter_async_context(
            bench.stack(
                services=["dm_svc"],
                servers=["postgres", "nats", "redis"],
                environment={
                    "HELIOGRAPH_DM_SENDS_PER_SECOND": "1000000",
                    "HELIOGRAPH_S3_ENDPOINT": "http://127.0.0.1:9",
                    "HELIOGRAPH_S3_ACCESS_KEY": "unused",
                    "HELIOGRAPH_S3_SECRET_KEY": "unused",
                },
            )
        )
        authority = Authority(stack.folder.path / "tls")
        environment = stack.state.environment("dm_svc.serve")
        graph = EveryoneKnowsEveryone()
        await exits.enter_async_context(
            server.serve(
                listen=environment["HELIOGRAPH_FEED_ADDRESS"],
                services=[Service(GRAPH, lambda to: add_GraphServiceServicer_to_server(graph, to))],
                callers=allow(GRAPH, by=("dm_svc",)),
                credentials=_credentials(authority, "feed_svc"),
                verifier=TokenVerifier.from_config(TokenConfig(Path(environment["HELIOGRAPH_JWT_KEYS"]), "heliograph")),
                health=Health(),
                reflected=False,
            )
        )
        channel = await exits.enter_async_context(
            client.connect(
                environment["HELIOGRAPH_LISTEN"],
                server_name="dm_svc",
                services=[],
                credentials=_credentials(authority, "gateway"),
                default_seconds=30.0,
            )
        )
        stream = await exits.enter_async_context(jetstream.connect(stack.nats.admin_url, name="bench"))
        for number in range(STREAMS):
            await stream.declare_stream(StreamConfig(name=f"RAW_{number}", subjects=[f"raw.{number}.*"]))
        key = Path(stack.state.jwt_private_key)
        rig = Rig(bench, stack, message_service_pb2_grpc.MessageServiceStub(channel), stream, key)
        await stream.hear("dm.inbox.*", rig.hear, pending_limit=1_000_000)
        yield rig


def _credentials(authority: Authority, name: str) -> Credentials:
    certificate, key = authority.issue(name)
    return Credentials.from_config(TlsConfig(authority.file, certificate, key))
