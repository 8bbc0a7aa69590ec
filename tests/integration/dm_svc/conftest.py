"""A running dm_svc on real servers; feed_svc and media_svc are stood in for by what the tests say."""

import itertools
import secrets
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from devstack.certificates import Authority
from devstack.keys import TokenKey, mint_token
from devstack.stack import Stack
from dm_svc import app
from dm_svc.config import Config
from heliograph.dm.v1 import (
    inbox_service_pb2,
    inbox_service_pb2_grpc,
    message_admin_service_pb2_grpc,
    message_service_pb2,
    message_service_pb2_grpc,
)
from heliograph.feed.v1 import graph_service_pb2, graph_service_pb2_grpc, relation_pb2
from heliograph.media.v1 import media_pb2, media_service_pb2, media_service_pb2_grpc
from mesh import auth, jetstream, postgres
from mesh.auth import TokenVerifier, Viewer
from mesh.config import PostgresConfig, ProcessConfig, S3Config, TlsConfig, TokenConfig
from mesh.entry import SERVE, WORK
from mesh.errors import FailedPrecondition, HeliographError, NotFound, Unavailable
from mesh.grpc import client, server
from mesh.grpc.server import Service, allow
from mesh.grpc.tls import Credentials
from mesh.health import Health
from mesh.jetstream import JetStream
from mesh.lifecycle import Process
from mesh.postgres import Postgres
from tests.fixtures.nats import fresh_jetstream
from tests.fixtures.postgres import fresh_database
from tests.fixtures.redis import fresh_redis

HOST = "127.0.0.1:0"
GRAPH = "heliograph.feed.v1.GraphService"
MEDIA = "heliograph.media.v1.MediaService"

_user_ids = itertools.count(1_000)


class FakeGraph(graph_service_pb2_grpc.GraphServiceServicer):
    """feed_svc, as far as dm_svc asks it: everyone exists and follows everyone, unless said otherwise."""

    def __init__(self) -> None:
        self.absent: set[int] = set()
        self.not_following: set[tuple[int, int]] = set()
        """(who, whom)"""
        self.blocks: set[tuple[int, int]] = set()
        self.calls = 0

    async def CheckRelations(
        self, request: graph_service_pb2.CheckRelationsRequest, context: Any
    ) -> graph_service_pb2.CheckRelationsResponse:
        self.calls += 1
        return graph_service_pb2.CheckRelationsResponse(
            relations=[
                relation_pb2.Relation(
                    subject_id=pair.subject_id,
                    object_id=pair.object_id,
                    object_exists=pair.object_id not in self.absent,
                    follows=(pair.subject_id, pair.object_id) not in self.not_following,
                    is_followed_by=(pair.object_id, pair.subject_id) not in self.not_following,
                    blocks=(pair.subject_id, pair.object_id) in self.blocks,
                    is_blocked_by=(pair.object_id, pair.subject_id) in self.blocks,
                )
                for pair in request.pairs
            ]
        )


class UploadNotFound(NotFound):
    reason = "UPLOAD_NOT_FOUND"


class UploadAlreadyAttached(FailedPrecondition):
    reason = "UPLOAD_ALREADY_ATTACHED"


class FakeMedia(media_service_pb2_grpc.MediaServiceServicer):
    """media_svc, as far as dm_svc asks it."""

    def __init__(self) -> None:
        self.ready: dict[str, int] = {}
        """Owner of each READY upload."""
        self.attached: dict[str, str] = {}
        self.deleted: dict[str, str] = {}
        self.stuck: set[str] = set()
        """Uploads that can't be deleted right now."""

    async def AttachUpload(
        self, request: media_service_pb2.AttachUploadRequest, context: Any
    ) -> media_service_pb2.AttachUploadResponse:
        if self.ready.get(request.upload_id) != auth.viewer_id():
            raise UploadNotFound
        if self.attached.setdefault(request.upload_id, request.reference) != request.reference:
            raise UploadAlreadyAttached
        return media_service_pb2.AttachUploadResponse(media=photo_media(request.upload_id))

    async def DeleteMedia(
        self, request: media_service_pb2.DeleteMediaRequest, context: Any
    ) -> media_service_pb2.DeleteMediaResponse:
        if request.upload_id in self.stuck:
            raise Unavailable
        self.deleted[request.upload_id] = request.reference
        return media_service_pb2.DeleteMediaResponse()


def photo_media(upload_id: str) -> media_pb2.Media:
    return media_pb2.Media(
        upload_id=upload_id,
        bucket="heliograph-private",
        key_prefix=f"m/{upload_id}/",
        variants=[
            media_pb2.PhotoVariant(
                url="1080.webp", width=1080, height=720, format=media_pb2.IMAGE_FORMAT_WEBP, size_bytes=9
            ),
            media_pb2.PhotoVariant(
                url="square.jpg",
                width=150,
                height=150,
                format=media_pb2.IMAGE_FORMAT_JPEG,
                size_bytes=5,
                is_square=True,
            ),
        ],
        blurhash="LEHV6nWB2yk8pyo0adR*.7kCMdnj",
        dominant_colour="#102030",
        width=3000,
        height=2000,
    )


@dataclass
class Person:
    """Somebody who calls dm_svc through a gateway."""

    user_id: int
    token: str
    messages: message_service_pb2_grpc.MessageServiceStub
    inbox: inbox_service_pb2_grpc.InboxServiceStub

    def speak(self) -> None:
        auth.set_viewer(Viewer(self.user_id, 2**40, self.token))

    async def call(self, method: str, **fields: Any) -> Any:
        """Call a method of MessageService or InboxService."""
        self.speak()
        stub, service = (
            (self.messages, message_service_pb2) if hasattr(self.messages, method) else (self.inbox, inbox_service_pb2)
        )
        return await getattr(stub, method)(getattr(service, f"{method}Request")(**fields))

    async def send(
        self, to: "Person | int", content: str = "hello", key: str | None = None, upload_id: str = ""
    ) -> Any:
        """Send a message and return it."""
        reply = await self.call(
            "SendMessage",
            recipient_id=to if isinstance(to, int) else to.user_id,
            content=content,
            client_message_id=key or str(uuid.uuid4()),
            upload_id=upload_id,
        )
        return reply.message

    def with_(self, other: "Person") -> str:
        low, high = sorted((self.user_id, other.user_id))
        return f"{low}-{high}"

    async def history(self, other: "Person", **fields: Any) -> list[Any]:
        """Return the first page of the conversation, oldest first."""
        reply = await self.call(
            "ListMessages",
            conversation_id=self.with_(other),
            order=message_service_pb2.MESSAGE_ORDER_OLDEST_FIRST,
            **{"page_size": 50, **fields},
        )
        return list(reply.messages)

    async def conversation(self, other: "Person") -> Any:
        return (await self.call("GetConversationWithUser", user_id=other.user_id)).conversation

    async def entries(self, after: int = 0) -> list[Any]:
        """Return everything in the inbox behind a place."""
        found: list[Any] = []
        while True:
            reply = await self.call("ReplayInbox", after_useq=after, page_size=500)
            found += reply.entries
            if reply.is_caught_up:
                return found
            assert reply.entries, reply
            after = found[-1].useq


@dataclass
class Rig:
    """dm_svc and what surrounds it."""

    stack: Stack
    config: Config
    graph: FakeGraph
    media: FakeMedia
    database: Postgres
    jetstream: JetStream
    channel: Any
    admin: Any
    private_key: Path
    start: Callable[..., Any] = field(default=app.start)

    def person(self) -> Person:
        user_id = next(_user_ids)
        return Person(
            user_id,
            mint_token(self.private_key, user_id),
            message_service_pb2_grpc.MessageServiceStub(self.channel),
            inbox_service_pb2_grpc.InboxServiceStub(self.channel),
        )

    def people(self, count: int) -> list[Person]:
        return [self.person() for _ in range(count)]


async def refused(call: Awaitable[Any]) -> str:
    """Return the reason for which a call is refused."""
    with pytest.raises(HeliographError) as error:
        await call
    return error.value.reason


@pytest.fixture(scope="module")
async def rig(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """A dm_svc in this process, in both roles."""
    async with running_rig(stack, tmp_path_factory.mktemp("dm")) as running:
        yield running


@asynccontextmanager
async def running_rig(
    stack: Stack, folder: Path, *, roles: frozenset[str] = frozenset({SERVE, WORK}), **settings: Any
) -> AsyncIterator[Rig]:
    """The same with other roles or settings."""
    async with AsyncExitStack() as exits:
        authority = Authority(folder / "tls")
        tokens = TokenKey(folder / "jwt")
        dsn = await exits.enter_async_context(fresh_database(stack, "dm_svc"))
        redis_url_of = await exits.enter_async_context(fresh_redis(stack))
        nats_url_of = await exits.enter_async_context(fresh_jetstream(stack))
        verifier = TokenVerifier.from_config(TokenConfig(tokens.jwks_file, "heliograph"))
        graph, media = FakeGraph(), FakeMedia()
        feed_port = await _serve(
            exits,
            authority,
            verifier,
            "feed_svc",
            Service(GRAPH, lambda to: graph_service_pb2_grpc.add_GraphServiceServicer_to_server(graph, to)),
        )
        media_port = await _serve(
            exits,
            authority,
            verifier,
            "media_svc",
            Service(MEDIA, lambda to: media_service_pb2_grpc.add_MediaServiceServicer_to_server(media, to)),
        )
        config = Config(
            process=ProcessConfig("development", free_address(), free_address(), 1, 1.0),
            tls=_tls(authority, "dm_svc"),
            tokens=TokenConfig(tokens.jwks_file, "heliograph"),
            postgres=PostgresConfig(dsn, None, 10, 5.0),
            s3=S3Config("http://127.0.0.1:9", "access", "secret", "us-east-1", None),
            redis_url=redis_url_of("dm_svc"),
            nats_url=nats_url_of("dm_svc"),
            nats_monitor_urls=stack.nats.monitor_address,
            feed_address=f"127.0.0.1:{feed_port}",
            media_address=f"127.0.0.1:{media_port}",
            cursor_key="k" * 32,
            **{**DEFAULTS, **settings},
        )
        await running_app(exits, config, roles)
        channel = await exits.enter_async_context(_channel(config.process.listen, authority, "gateway"))
        cli_channel = await exits.enter_async_context(_channel(config.process.listen, authority, "cli"))
        yield Rig(
            stack=stack,
            config=config,
            graph=graph,
            media=media,
            database=await exits.enter_async_context(postgres.connect(config.postgres)),
            jetstream=await exits.enter_async_context(jetstream.connect(config.nats_url, name="test")),
            channel=channel,
            admin=message_admin_service_pb2_grpc.MessageAdminServiceStub(cli_channel),
            private_key=tokens.private_file,
        )


DEFAULTS: dict[str, Any] = {
    "partitions": 8,
    "log_days": 30,
    "inbox_days": 30.0,
    "read_wait_seconds": 3.0,
    "batch_size": 300,
    "takeover_seconds": 2.0,
    "sends_per_second": 1_000_000,
    "push_webhook_url": None,
    "push_webhook_secret": None,
}


async def running_app(
    exits: AsyncExitStack, config: Config, roles: frozenset[str] = frozenset({SERVE, WORK})
) -> Process:
    """Start dm_svc in this process until the stack of contexts ends."""
    inner = AsyncExitStack()
    process = Process(inner)

    async def stop() -> None:
        has_failed = process.status != 0
        await process.shut_down()
        await inner.aclose()
        assert not has_failed, "a loop of dm_svc died; its log says why"

    exits.push_async_callback(stop)
    await app.start(process, config, roles)
    return process


@asynccontextmanager
async def http_server(handler, path="/{any:.*}"):
    application = web.Application()
    application.router.add_route("*", path, handler)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield "http://{}:{}".format(*runner.addresses[0])
    finally:
        await runner.cleanup()


async def _serve(
    exits: AsyncExitStack, authority: Authority, verifier: TokenVerifier, name: str, service: Service
) -> int:
    running = await exits.enter_async_context(
        server.serve(
            listen=HOST,
            services=[service],
            callers=allow(service.name, by=("dm_svc",)),
            credentials=Credentials.from_config(_tls(authority, name)),
            verifier=verifier,
            health=Health(),
            reflected=False,
        )
    )
    return running.port


def _channel(address: str, authority: Authority, name: str) -> Any:
    return client.connect(
        address,
        server_name="dm_svc",
        services=[],
        credentials=Credentials.from_config(_tls(authority, name)),
        default_seconds=10.0,
    )


def _tls(authority: Authority, name: str) -> TlsConfig:
    certificate, key = authority.issue(name)
    return TlsConfig(authority.file, certificate, key)


def free_address() -> str:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{one.getsockname()[1]}"


def some_id() -> str:
    return secrets.token_hex(8)


Condition = Callable[[], bool | Awaitable[bool]]
