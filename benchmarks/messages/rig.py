"""dm_svc with gateways before it, and a listener where gateways stand."""

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
from devstack.certificates import Authority
from devstack.keys import mint_token
from devstack.stack import Stack
from gateway.clients import MESSAGES_LINGER_SECONDS
from heliograph.dm.v1 import message_service_pb2, message_service_pb2_grpc
from heliograph.events.v1 import message_events_pb2
from heliograph.feed.v1.graph_service_pb2_grpc import add_GraphServiceServicer_to_server
from mesh import auth, jetstream
from mesh.auth import TokenVerifier, Viewer
from mesh.config import TlsConfig, TokenConfig
from mesh.grpc import client, server
from mesh.grpc.server import Service, allow
from mesh.grpc.tls import Credentials
from mesh.health import Health
from mesh.jetstream import JetStream
from tests.chaos.messages.world import ENVIRONMENT, GRAPH, EveryoneKnowsEveryone

FIRST_USER = 1_000
STREAMS = 8
CONTENT = "See you at eight by the lighthouse, bring the camera."
ARRIVE_SECONDS = 60


@dataclass
class Rig:
    """What is measured, and who measures."""

    stack: Stack
    stub: message_service_pb2_grpc.MessageServiceStub
    jetstream: JetStream
    gateway: str
    """host:port"""
    key: Path
    viewers: dict[int, Viewer] = field(default_factory=dict)
    arrived: dict[str, float] = field(default_factory=dict)
    """When each message reached its recipient's listener."""
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def viewer(self, user_id: int) -> Viewer:
        if user_id not in self.viewers:
            self.viewers[user_id] = Viewer(user_id, 2**40, mint_token(self.key, user_id))
        return self.viewers[user_id]

    async def send(self, sender: int, recipient: int) -> str:
        auth.set_viewer(self.viewer(sender))
        reply = await self.stub.SendMessage(
            message_service_pb2.SendMessageRequest(
                recipient_id=recipient, content=CONTENT, client_message_id=str(uuid.uuid4())
            )
        )
        return reply.message.message_id

    async def wait(self, holds: Callable[[], bool]) -> None:
        """Wait until what was acknowledged has arrived."""
        async with asyncio.timeout(ARRIVE_SECONDS):
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


@asynccontextmanager
async def open_rig(bench: Bench) -> AsyncIterator[Rig]:
    """Start everything."""
    async with AsyncExitStack() as exits:
        stack = await exits.enter_async_context(
            bench.stack(
                services=["dm_svc", "gateway"], servers=["postgres", "nats", "redis"], environment=dict(ENVIRONMENT)
            )
        )
        authority = Authority(stack.folder.path / "tls")
        environment = stack.state.environment("dm_svc.serve")
        graph = EveryoneKnowsEveryone()
        await exits.enter_async_context(
            server.serve(
                listen=environment["HELIOGRAPH_FEED_ADDRESS"],
                services=[Service(GRAPH, lambda to: add_GraphServiceServicer_to_server(graph, to))],
                callers=allow(GRAPH, by=("dm_svc", "gateway")),
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
                linger_seconds=MESSAGES_LINGER_SECONDS,  # as the gateway's own
            )
        )
        stream = await exits.enter_async_context(jetstream.connect(stack.nats.admin_url, name="bench"))
        for number in range(STREAMS):
            await stream.declare_stream(StreamConfig(name=f"RAW_{number}", subjects=[f"raw.{number}.*"]))
        yield Rig(
            stack=stack,
            stub=message_service_pb2_grpc.MessageServiceStub(channel),
            jetstream=stream,
            gateway=stack.state.environment("gateway.serve")["HELIOGRAPH_LISTEN"],
            key=Path(stack.state.jwt_private_key),
        )


def _credentials(authority: Authority, name: str) -> Credentials:
    certificate, key = authority.issue(name)
    return Credentials.from_config(TlsConfig(authority.file, certificate, key))
