"""story_svc in this process, on real servers; the database's clock is in the test's hand, other services are faked."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from google.protobuf.timestamp_pb2 import Timestamp
from nats.js.api import ConsumerConfig, StreamConfig

from heliograph.story.v1 import story_admin_service_pb2, story_pb2, story_service_pb2
from mesh import auth, jetstream, postgres, redis
from mesh.config import PostgresConfig, ProcessConfig, S3Config, TlsConfig, TokenConfig
from mesh.database_clock import DatabaseClock
from mesh.outbox import Relay, Wakeup
from mesh.presign import Presigner
from mesh.schedule import Schedule
from story_svc import app, events
from story_svc.app import Parts
from story_svc.cache import Cache
from story_svc.config import Config
from story_svc.peers import Graph, Media, MediaCare
from story_svc.photos import Photos
from story_svc.store import Store
from tests.integration.story_svc.fakes import FakeGraph, FakeMedia

GRAPH = StreamConfig(name="GRAPH", subjects=["graph.>"])


class Hand:
    """The monotonic clock of the process, which stands still unless a test moves it."""

    def __init__(self) -> None:
        self.us = 1_000_000

    def __call__(self) -> int:
        return self.us


@dataclass(slots=True)
class World:
    """Everything a test touches."""

    config: Config
    parts: Parts
    dsn: str
    database: psycopg.AsyncConnection[Any]
    redis_url: str
    graph: FakeGraph
    media: FakeMedia
    relay: Relay
    clock: DatabaseClock
    stories: Any = None
    admin: Any = None
    workers: Any = None
    handled_up_to: list[int] = field(default_factory=list)

    def wire_up(self, **other_parts: Any) -> None:
        """Build servicers and loops, with some parts replaced: a sabotage."""
        self.parts = replace(self.parts, **other_parts)
        self.stories, self.admin = app.servicers(self.config, self.parts)
        self.workers = app.workers(self.parts)

    async def set_clock(self, moment: datetime) -> None:
        """Let the database's clock, as the service reads it, stand at a moment, to the microsecond."""
        await self._replace_clock(f"'{moment.isoformat()}'::timestamptz")
        await self.clock.synchronise()

    async def shift_clock(self, by: timedelta) -> None:
        """Let it run, but ahead of the machine's clock, which Redis, NATS and the process go by."""
        await self._replace_clock(f"statement_timestamp() + interval '{by.total_seconds()} seconds'")
        await self.clock.synchronise()

    async def let_time_run(self) -> None:
        """Replace the clock that stands still by one that follows the database's from moment to moment."""
        clock = DatabaseClock(self.parts.store.read_clock)
        await clock.synchronise()
        self.clock = clock
        self.wire_up(
            clock=clock,
            schedule=Schedule(self.parts.jetstream, events.STORIES_NAME, clock),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Relay, consumers, timers and clock at work, as in a process, until the end of the block."""
        loops = [self.relay.run, self.clock.run, *(consumer.run for consumer in self.workers.consumers())]
        loops += [loop for _, loop in self.workers.timers()]
        tasks = [asyncio.create_task(loop()) for loop in loops]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _replace_clock(self, expression: str) -> None:
        await self.database.execute(
            "CREATE OR REPLACE FUNCTION story_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE "
            f"RETURN {expression}"  # type: ignore[arg-type]
        )

    async def sql(self, statement: str, *parameters: Any) -> list[Any]:
        """Run a statement on the service's database."""
        cursor = await self.database.execute(statement, parameters)  # type: ignore[arg-type]
        return await cursor.fetchall() if cursor.description else []

    async def publish(self, author: int, *, request_id: str | None = None, upload_id: str | None = None) -> Any:
        """Publish a story and return it."""
        be(author)
        request = story_service_pb2.PublishStoryRequest(
            upload_id=upload_id or self.media.upload(author), request_id=request_id or uuid.uuid4().hex
        )
        return (await self.stories.PublishStory(request, None)).story

    async def tray(self, viewer: int, **arguments: Any) -> Any:
        be(viewer)
        reply = await self.stories.GetStoryTray(story_service_pb2.GetStoryTrayRequest(**arguments), None)
        return story_service_pb2.GetStoryTrayResponse.FromString(reply.SerializeToString())

    async def tray_ids(self, viewer: int) -> list[int]:
        return [story.story_id for reel in (await self.tray(viewer)).reels for story in reel.stories]

    async def list_stories(self, viewer: int, author: int, **arguments: Any) -> Any:
        be(viewer)
        return await self.stories.ListStories(story_service_pb2.ListStoriesRequest(user_id=author, **arguments), None)

    async def get(self, viewer: int, *story_ids: int) -> list[Any]:
        """Return what is found under ids: stories, `None` for what is not."""
        be(viewer)
        reply = await self.stories.BatchGetStories(story_service_pb2.BatchGetStoriesRequest(story_ids=story_ids), None)
        return [one.story if one.found else None for one in reply.results]

    async def mark_seen(self, viewer: int, *story_ids: int) -> None:
        be(viewer)
        await self.stories.MarkSeen(story_service_pb2.MarkSeenRequest(story_ids=story_ids), None)

    async def list_viewers(self, viewer: int, story_id: int, **arguments: Any) -> Any:
        be(viewer)
        return await self.stories.ListViewers(
            story_service_pb2.ListViewersRequest(story_id=story_id, **arguments), None
        )

    async def delete(self, viewer: int, story_id: int) -> datetime:
        be(viewer)
        reply = await self.stories.DeleteStory(story_service_pb2.DeleteStoryRequest(story_id=story_id), None)
        return moment(reply.end_time)

    async def hold(self, story_id: int, *, is_held: bool, reason: str = "court order 7") -> Any:
        reply = await self.admin.SetLegalHold(
            story_admin_service_pb2.SetLegalHoldRequest(story_id=story_id, is_held=is_held, reason=reason), None
        )
        return reply.record

    async def record(self, story_id: int) -> Any:
        reply = await self.admin.GetStoryRecord(story_admin_service_pb2.GetStoryRecordRequest(story_id=story_id), None)
        return reply.record

    async def reconcile(self, *, repair: bool = False) -> list[Any]:
        """Run through all pages; return the findings."""
        token, findings = "", []
        while True:
            reply = await self.admin.ReconcileStories(
                story_admin_service_pb2.ReconcileStoriesRequest(repair=repair, page_size=10, page_token=token), None
            )
            findings += reply.findings
            token = reply.next_page_token
            if not token:
                return findings

    async def run_events(self) -> None:
        """Publish what is committed, and handle everything that waits in the stream, once."""
        while await self.relay.publish_batch():
            pass
        ends = [await self.parts.jetstream.last_sequence(stream) for stream in (events.STORIES_NAME, str(GRAPH.name))]
        if ends == self.handled_up_to:
            return
        self.handled_up_to = ends
        for consumer in self.workers.consumers():
            await self._handle(consumer)

    async def _handle(self, consumer: Any) -> None:
        context = self.parts.jetstream.context
        await self.parts.jetstream.ensure_consumer(
            consumer.stream, ConsumerConfig(durable_name=consumer.durable, filter_subjects=list(consumer.subjects))
        )
        subscription = await context.pull_subscribe_bind(consumer.durable, stream=consumer.stream)
        try:
            while (await subscription.consumer_info()).num_pending:
                for message in await subscription.fetch(200, timeout=0.2):
                    await consumer.handle(jetstream.read(message))
                    await message.ack()
        finally:
            await subscription.unsubscribe()

    async def expired_events(self) -> list[str]:
        """Return the subject of every StoryExpired in the stream."""
        found: list[str] = []
        info = await self.parts.jetstream.context.stream_info(events.STORIES_NAME, subjects_filter="story.expired.>")
        for subject, count in (info.state.subjects or {}).items():
            found += [subject] * count
        return found


def be(user_id: int) -> None:
    """Call as this person from now on."""
    auth.set_viewer(auth.Viewer(user_id, 2**40, "token"))


def moment(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(tzinfo=UTC)


def ids(stories: Iterable[story_pb2.Story]) -> list[int]:
    return [story.story_id for story in stories]


@asynccontextmanager
async def open_world(
    *, dsn: str, redis_url: str, nats_url: str, s3: S3Config, file: Path, daily_limit: int = 100
) -> AsyncIterator[World]:
    """Connect to the servers and build the service; its clock stands at the machine's present moment."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(postgres.connect(PostgresConfig(dsn, None, 10, 5.0)))
        clients = await stack.enter_async_context(redis.connect_replicated(redis_url))
        messaging = await stack.enter_async_context(jetstream.connect(nats_url, name="test"))
        for stream in events.STREAMS:
            await messaging.declare_stream(stream)
        await messaging.declare_stream(GRAPH)
        cache = Cache(clients)
        await cache.server.load_functions()
        store = Store(database)
        clock = DatabaseClock(store.read_clock, monotonic_us=Hand())
        await clock.synchronise()
        graph, media = FakeGraph(), FakeMedia()
        wakeup = Wakeup(messaging, "story_svc")
        schedule = Schedule(messaging, events.STORIES_NAME, clock)
        world = World(
            config=Config(
                process=ProcessConfig("development", "127.0.0.1:0", "127.0.0.1:0", 1, 1.0),
                tls=TlsConfig(file, file, file),
                tokens=TokenConfig(file, "heliograph"),
                postgres=PostgresConfig(dsn, None, 10, 5.0),
                s3=s3,
                redis_url=redis_url,
                nats_url=nats_url,
                feed_address="",
                media_address="",
                media_public_url="http://unused",
                cursor_key="k" * 32,
                daily_limit=daily_limit,
            ),
            parts=Parts(
                store=store,
                cache=cache,
                clock=clock,
                photos=Photos(Presigner(s3)),
                graph=Graph(graph),  # type: ignore[arg-type]
                media=Media(media),  # type: ignore[arg-type]
                media_care=MediaCare(media),  # type: ignore[arg-type]
                jetstream=messaging,
                schedule=schedule,
                wakeup=wakeup,
            ),
            dsn=dsn,
            database=await stack.enter_async_context(await psycopg.AsyncConnection.connect(dsn, autocommit=True)),
            redis_url=redis_url,
            graph=graph,
            media=media,
            relay=Relay(postgres=database, jetstream=messaging, wakeup=wakeup),
            clock=clock,
        )
        world.wire_up()
        yield world
