"""What takes part in a run: a stack, channels to its dm_svc, addresses of its gateways, people with tokens."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from devstack.certificates import Authority
from devstack.keys import mint_token
from devstack.stack import Stack
from heliograph.dm.v1 import (
    inbox_service_pb2,
    inbox_service_pb2_grpc,
    message_admin_service_pb2_grpc,
    message_service_pb2,
    message_service_pb2_grpc,
)
from heliograph.feed.v1 import graph_service_pb2, graph_service_pb2_grpc, relation_pb2, user_pb2
from mesh import auth, jetstream
from mesh.auth import TokenVerifier, Viewer
from mesh.config import TlsConfig, TokenConfig
from mesh.cursor import CursorSigner
from mesh.grpc import client, server
from mesh.grpc.server import Service, allow
from mesh.grpc.tls import Credentials
from mesh.health import Health
from mesh.jetstream import JetStream
from tests.chaos.check import Check

PEOPLE = 16
FIRST_PERSON = 101
GRAPH = "heliograph.feed.v1.GraphService"
ENVIRONMENT: Mapping[str, str] = {
    "HELIOGRAPH_DM_SENDS_PER_SECOND": "1000000",
    "HELIOGRAPH_S3_ENDPOINT": "http://127.0.0.1:9",
    "HELIOGRAPH_S3_ACCESS_KEY": "unused",
    "HELIOGRAPH_S3_SECRET_KEY": "unused",
}
"""No photo is sent here, so there is no object store."""


class EveryoneKnowsEveryone(graph_service_pb2_grpc.GraphServiceServicer):
    """feed_svc, as far as dm_svc and the gateway ask it."""

    async def BatchGetUsers(self, request: Any, context: Any) -> graph_service_pb2.BatchGetUsersResponse:
        return graph_service_pb2.BatchGetUsersResponse(
            results=[
                graph_service_pb2.UserLookup(
                    user_id=user_id, found=True, user=user_pb2.User(user_id=user_id, username=f"person{user_id}")
                )
                for user_id in request.user_ids
            ]
        )

    async def CheckRelations(self, request: Any, context: Any) -> graph_service_pb2.CheckRelationsResponse:
        return graph_service_pb2.CheckRelationsResponse(
            relations=[
                relation_pb2.Relation(
                    subject_id=pair.subject_id, object_id=pair.object_id, object_exists=True, is_followed_by=True
                )
                for pair in request.pairs
            ]
        )


@dataclass
class Sent:
    """One acknowledged send."""

    message_id: str
    conversation_id: str
    sender: int
    issued: float
    acked: float
    tries: int


@dataclass
class World:
    """What takes part."""

    check: Check
    stack: Stack
    messages: message_service_pb2_grpc.MessageServiceStub
    inboxes: inbox_service_pb2_grpc.InboxServiceStub
    admin: message_admin_service_pb2_grpc.MessageAdminServiceStub
    notices: JetStream
    http: aiohttp.ClientSession
    gateways: list[str]
    """host:port of each."""
    cursors: CursorSigner
    """Signs and reads places in inboxes as the gateways do."""
    tokens: dict[int, str]
    sent: list[Sent] = field(default_factory=list)
    cuts: int = 0
    cut_calls: int = 0

    @property
    def users(self) -> list[int]:
        return list(self.tokens)

    def act_as(self, user_id: int) -> None:
        auth.set_viewer(Viewer(user_id, 2**40, self.tokens[user_id]))


async def open_world(exits: AsyncExitStack, check: Check, stack: Stack) -> World:
    """Stand in for feed_svc, and connect to everything."""
    authority = Authority(stack.folder.path / "tls")

    def tls(of: str) -> Credentials:
        certificate, key = authority.issue(of)
        return Credentials.from_config(TlsConfig(authority.file, certificate, key))

    environment = stack.state.environment("dm_svc.serve")
    graph = EveryoneKnowsEveryone()
    await exits.enter_async_context(
        server.serve(
            listen=environment["HELIOGRAPH_FEED_ADDRESS"],
            services=[Service(GRAPH, lambda to: graph_service_pb2_grpc.add_GraphServiceServicer_to_server(graph, to))],
            callers=allow(GRAPH, by=("dm_svc", "gateway")),
            credentials=tls("feed_svc"),
            verifier=TokenVerifier.from_config(TokenConfig(Path(environment["HELIOGRAPH_JWT_KEYS"]), "heliograph")),
            health=Health(),
            reflected=False,
        )
    )
    services = [
        message_service_pb2.DESCRIPTOR.services_by_name["MessageService"],
        inbox_service_pb2.DESCRIPTOR.services_by_name["InboxService"],
    ]
    for_people, for_staff = [
        await exits.enter_async_context(
            client.connect(
                environment["HELIOGRAPH_LISTEN"],
                server_name="dm_svc",
                services=services,
                credentials=tls(caller),
                default_seconds=seconds,
            )
        )
        for caller, seconds in (("gateway", 3.0), ("cli", 60.0))
    ]
    key = Path(stack.state.jwt_private_key)
    return World(
        check=check,
        stack=stack,
        messages=message_service_pb2_grpc.MessageServiceStub(for_people),
        inboxes=inbox_service_pb2_grpc.InboxServiceStub(for_people),
        admin=message_admin_service_pb2_grpc.MessageAdminServiceStub(for_staff),
        notices=await exits.enter_async_context(jetstream.connect(stack.nats.admin_url, name="devices")),
        http=await exits.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5))),
        gateways=[
            stack.state.environment(name)["HELIOGRAPH_LISTEN"]
            for name in stack.state.environments
            if name.startswith("gateway.")
        ],
        cursors=CursorSigner(environment["HELIOGRAPH_CURSOR_KEY"]),
        tokens={user_id: mint_token(key, user_id) for user_id in range(FIRST_PERSON, FIRST_PERSON + PEOPLE)},
    )
