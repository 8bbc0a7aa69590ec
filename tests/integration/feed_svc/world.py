"""feed_svc in this process, on real Postgres, Redis and NATS; media_svc is a fake."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from feed_svc import app, events
from feed_svc.app import Parts, Servicers
from feed_svc.config import Config
from feed_svc.peers import Media
from feed_svc.store import Store
from feed_svc.usecases.tell_followers import TellFollowers
from feed_svc.workers import Notices
from heliograph.feed.v1 import (
    feed_admin_service_pb2,
    feed_service_pb2,
    graph_service_pb2,
    post_service_pb2,
)
from heliograph.media.v1 import media_pb2, media_service_pb2
from mesh import auth, jetstream, postgres, redis, redis_bulk
from mesh.auth import Viewer
from mesh.config import PostgresConfig, ProcessConfig, TlsConfig, TokenConfig
from mesh.outbox import Relay

UNUSED = Path("/nowhere")

ON_ONE_SERVER = pytest.mark.parametrize("redis_url", ["one server"], indirect=True)
"""For a test in which it does not matter how Redis spreads keys."""


@dataclass(slots=True)
class FakeMedia:
    """MediaService: every upload is ready and anybody's."""

    references: dict[str, str] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)

    async def AttachUpload(self, request: Any) -> Any:
        self.references[request.upload_id] = request.reference
        return media_service_pb2.AttachUploadResponse(
            media=media_pb2.Media(
                upload_id=request.upload_id,
                bucket="heliograph-photos",
                key_prefix="ab/cdef/",
                variants=[
                    media_pb2.PhotoVariant(url="640.webp", width=640, height=480, size_bytes=10),
                    media_pb2.PhotoVariant(url="square-150.webp", width=150, height=150, is_square=True),
                ],
                width=640,
                height=480,
            )
        )

    async def DeleteMedia(self, request: Any) -> Any:
        self.deleted.add(request.upload_id)
        return media_service_pb2.DeleteMediaResponse()


class World:
    """People by number, and what they do."""

    def __init__(self, parts: Parts, faces: Servicers, media: FakeMedia, redis_client: Any, relay: Relay) -> None:
        self.parts = parts
        self.faces = faces
        self.media = media
        self.redis = redis_client
        self.relay = relay
        self.tell = TellFollowers(parts.events)
        self._workers: list[asyncio.Task[None]] = []

    async def call(self, method: Any, request: Any, *, by: int | None = None, caller: str = "gateway") -> Any:
        """Call an RPC as the guard would: in a context of its own, for a person or a service."""

        async def run() -> Any:
            auth.caller.set(caller)
            auth.set_viewer(Viewer(by, 2**40, "") if by is not None else None)
            return await method(request, None)

        return await asyncio.create_task(run())

    async def people(self, *numbers: int) -> None:
        for number in numbers:
            request = graph_service_pb2.UpsertUserRequest(user_id=number, username=f"user{number}")
            await self.call(self.faces.graph.UpsertUser, request, caller="cli")

    async def post(self, author: int, caption: str = "", request_id: str | None = None) -> int:
        request = post_service_pb2.CreatePostRequest(
            upload_id=str(uuid.uuid4()), caption=caption, request_id=request_id or uuid.uuid4().hex
        )
        return int((await self.call(self.faces.posts.CreatePost, request, by=author)).item.post.post_id)

    async def delete(self, author: int, post_id: int) -> None:
        await self.call(self.faces.posts.DeletePost, post_service_pb2.DeletePostRequest(post_id=post_id), by=author)

    async def follow(self, follower: int, followee: int) -> None:
        await self.call(self.faces.graph.Follow, graph_service_pb2.FollowRequest(user_id=followee), by=follower)

    async def unfollow(self, follower: int, followee: int) -> None:
        await self.call(self.faces.graph.Unfollow, graph_service_pb2.UnfollowRequest(user_id=followee), by=follower)

    async def block(self, blocker: int, blocked: int) -> None:
        await self.call(self.faces.graph.Block, graph_service_pb2.BlockRequest(user_id=blocked), by=blocker)

    async def unblock(self, blocker: int, blocked: int) -> None:
        await self.call(self.faces.graph.Unblock, graph_service_pb2.UnblockRequest(user_id=blocked), by=blocker)

    async def page(self, viewer: int, *, size: int = 20, token: str = "") -> Any:
        request = feed_service_pb2.GetHomeFeedRequest(page_size=size, page_token=token, include_cursors=True)
        return await self.call(self.faces.feed.GetHomeFeed, request, by=viewer)

    async def feed(self, viewer: int, *, size: int = 20) -> list[int]:
        """The whole feed, page by page."""
        found: list[int] = []
        token = ""
        while True:
            page = await self.page(viewer, size=size, token=token)
            found += [item.post.post_id for item in page.items]
            token = page.next_page_token
            if not token:
                return found

    async def oracle(self, viewer: int) -> list[int]:
        return list(await self.parts.store.oracle_feed(viewer, limit=10_000))  # type: ignore[arg-type]

    async def warm(self, *viewers: int) -> None:
        """Build timelines and wait for it."""
        for viewer in viewers:
            await self.parts.build(viewer)  # type: ignore[arg-type]

    async def threshold(self, value: int) -> None:
        request = feed_service_pb2.SetDeliveryPolicyRequest(
            pull_threshold=value, hysteresis_percent=0, request_id=uuid.uuid4().hex
        )
        await self.call(self.faces.feed.SetDeliveryPolicy, request, caller="cli")

    async def verify(self, users: Iterable[int]) -> Any:
        request = feed_admin_service_pb2.VerifyFeedsRequest(user_ids=list(users))
        return await self.call(self.faces.admin.VerifyFeeds, request, caller="cli")

    async def flush_redis(self) -> None:
        keys = [key async for key in self.redis.scan_iter(count=1000)]
        if keys:
            await self.redis.delete(*keys)

    def start_workers(self) -> None:
        workers = app.workers_of(self.parts, self.tell)
        loops = [self.relay.run, *(consumer.run for consumer in workers.consumers())]
        self._workers = [asyncio.create_task(loop()) for loop in loops]

    async def kill_workers(self) -> None:
        running = set(self._workers)
        while running:  # as lifecycle.Process does: a library may take a cancellation
            for task in running:
                task.cancel()
            _, running = await asyncio.wait(running, timeout=1.0)
        self._workers = []

    async def caught_up(self, *, within: float = 30.0) -> None:
        """Wait until the outbox is empty and every fan-out has ended."""
        end = asyncio.get_running_loop().time() + within
        while True:
            async with self.parts.store._postgres.primary() as connection:
                row = await (
                    await connection.execute(
                        "SELECT (SELECT count(*) FROM outbox)"
                        " + (SELECT count(*) FROM posts WHERE delivery_mode = 1 AND fan_out_time IS NULL)"
                    )
                ).fetchone()
            if row is not None and row[0] == 0:
                return
            assert asyncio.get_running_loop().time() < end, f"{row} are still under way"
            await asyncio.sleep(0.05)


@asynccontextmanager
async def open_world(
    *, dsn: str, redis_url: str, nats_url: str, timeline_length: int = 300, replica_dsn: str | None = None
) -> AsyncIterator[World]:
    """Open everything, without workers."""
    config = Config(
        process=ProcessConfig("development", "127.0.0.1:0", "127.0.0.1:0", 1, 1.0),
        tls=TlsConfig(UNUSED, UNUSED, UNUSED),
        tokens=TokenConfig(UNUSED, "heliograph"),
        postgres=PostgresConfig(dsn, replica_dsn, 10, 5.0),
        redis_url=redis_url,
        nats_url=nats_url,
        media_address="127.0.0.1:1",
        media_public_url="http://photos.example",
        cursor_key="k" * 32,
        timeline_length=timeline_length,
        timeline_days=30,
    )
    async with AsyncExitStack() as undo:
        database = await undo.enter_async_context(postgres.connect(config.postgres))
        client = await undo.enter_async_context(redis.connect(redis_url))
        messaging = await undo.enter_async_context(jetstream.connect(nats_url, name="test"))
        for stream in events.STREAMS:
            await messaging.declare_stream(stream)
        bulk = await undo.enter_async_context(redis_bulk.connect(client, redis_url))
        media = FakeMedia()
        parts = app.assemble(config, Store(database), client, bulk, messaging, Media(media))  # type: ignore[arg-type]
        await parts.timelines.load_functions()
        await parts.pulled.refresh()
        await Notices(messaging, parts.pulled, parts.records, parts.pages).listen()
        builders = asyncio.create_task(parts.builders.run())
        relay = Relay(postgres=database, jetstream=messaging, wakeup=parts.wakeup)
        world = World(parts, app.servicers_of(parts), media, client, relay)
        try:
            yield world
        finally:
            await world.kill_workers()
            builders.cancel()
            await asyncio.gather(builders, return_exceptions=True)
