"""Wiring: every object of the process, and what each role starts."""

from dataclasses import dataclass

from heliograph.feed.v1 import graph_service_pb2, graph_service_pb2_grpc
from heliograph.media.v1 import (
    media_admin_service_pb2,
    media_admin_service_pb2_grpc,
    media_service_pb2,
    media_service_pb2_grpc,
)
from heliograph.story.v1 import story_admin_service_pb2_grpc, story_service_pb2_grpc
from mesh import health, jetstream, periodic, postgres, redis
from mesh.auth import TokenVerifier
from mesh.clock import Clock
from mesh.config import DEVELOPMENT
from mesh.cursor import CursorSigner
from mesh.database_clock import DatabaseClock
from mesh.entry import SERVE, WORK
from mesh.grpc import client, server
from mesh.grpc.server import Service
from mesh.grpc.tls import Credentials
from mesh.health import Health
from mesh.ids import IdMaker
from mesh.jetstream import JetStream
from mesh.lifecycle import Process
from mesh.outbox import Relay, Wakeup
from mesh.presign import Presigner
from mesh.schedule import FOLLOW_SECONDS, Schedule
from story_svc import events
from story_svc.cache import Cache
from story_svc.config import Config
from story_svc.peers import Graph, Media, MediaCare
from story_svc.photos import Photos
from story_svc.servicer import StoryAdminServicer, StoryServicer
from story_svc.store import Store
from story_svc.usecases.catch_up_expiry import CatchUpExpiry
from story_svc.usecases.check_audience import CheckAudience
from story_svc.usecases.delete_story import DeleteStory
from story_svc.usecases.drop_followees import DropFollowees
from story_svc.usecases.end_stories import EndStories
from story_svc.usecases.expire_on_time import ExpireOnTime
from story_svc.usecases.expire_story import ExpireStory
from story_svc.usecases.find_followees import FindFollowees
from story_svc.usecases.find_people import FindPeople
from story_svc.usecases.find_reels import FindReels
from story_svc.usecases.find_stories import FindStories
from story_svc.usecases.forget_views import ForgetViews
from story_svc.usecases.get_stories import GetStories, ListStories, ViewStories
from story_svc.usecases.get_story_tray import GetStoryTray
from story_svc.usecases.list_viewers import ListViewers
from story_svc.usecases.mark_seen import MarkSeen
from story_svc.usecases.notify_followers import NotifyFollowers
from story_svc.usecases.publish_story import PublishStory
from story_svc.usecases.purge_stories import PurgeStories
from story_svc.usecases.reconcile_stories import ReconcileStories
from story_svc.usecases.refresh_reel import RefreshReel
from story_svc.usecases.schedule_expiry import ScheduleExpiry
from story_svc.usecases.set_legal_hold import GetStoryRecord, SetLegalHold
from story_svc.usecases.sweep_stories import SweepStories
from story_svc.wire import Wire
from story_svc.workers import Workers

STORIES = "heliograph.story.v1.StoryService"
ADMIN = "heliograph.story.v1.StoryAdminService"

CALLERS = {STORIES: frozenset({"gateway"}), ADMIN: frozenset({"cli"})}
"""Who may call what, by the name in the caller's certificate."""

LAG_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What the process is connected to: all that use cases are made of."""

    store: Store
    cache: Cache
    clock: Clock
    photos: Photos
    graph: Graph
    media: Media
    media_care: MediaCare
    jetstream: JetStream
    schedule: Schedule
    wakeup: Wakeup


async def start(process: Process, config: Config, roles: frozenset[str]) -> None:
    """Connect to everything, then start what the roles ask for."""
    database = await process.enter(postgres.connect(config.postgres))
    await database.refuse_unless_durable()
    clients = await process.enter(redis.connect_replicated(config.redis_url))
    messaging = await process.enter(jetstream.connect(config.nats_url, name="story_svc"))
    for stream in events.STREAMS:
        await messaging.declare_stream(stream)
    cache = Cache(clients)
    await cache.server.load_functions()
    store = Store(database)
    clock = DatabaseClock(store.read_clock)
    await clock.synchronise()
    process.loop("database_clock", clock.run)
    credentials = Credentials.from_config(config.tls)
    graph, media, media_care = await _peers(process, config, credentials)
    parts = Parts(
        store=store,
        cache=cache,
        clock=clock,
        photos=Photos(Presigner(config.s3)),
        graph=graph,
        media=media,
        media_care=media_care,
        jetstream=messaging,
        schedule=Schedule(messaging, events.STORIES_NAME, clock),
        wakeup=Wakeup(messaging, "story_svc"),
    )

    checks = Health()
    checks.depends_on("postgres", database.ping)
    checks.depends_on("redis", cache.server.ping)
    checks.depends_on("nats", messaging.ping)

    if SERVE in roles:
        stories, admin = servicers(config, parts)
        running = await process.enter(
            server.serve(
                listen=config.process.listen,
                services=[
                    Service(STORIES, lambda to: story_service_pb2_grpc.add_StoryServiceServicer_to_server(stories, to)),
                    Service(
                        ADMIN,
                        lambda to: story_admin_service_pb2_grpc.add_StoryAdminServiceServicer_to_server(admin, to),
                    ),
                ],
                callers=CALLERS,
                credentials=credentials,
                verifier=TokenVerifier.from_config(config.tokens),
                health=checks,
                reflected=config.process.environment == DEVELOPMENT,
            )
        )
        process.loop("grpc_health", running.watch_health)
        process.drain(lambda: running.drain(config.process.drain_seconds))
    if WORK in roles:
        await parts.schedule.follow()
        process.loop("schedule_clock", periodic.every(FOLLOW_SECONDS, "schedule_clock", parts.schedule.follow))
        relay = Relay(postgres=database, jetstream=messaging, wakeup=parts.wakeup)
        process.loop("outbox_relay", relay.run)
        process.loop("outbox_lag", periodic.every(LAG_SECONDS, "outbox_lag", relay.measure))
        loops = workers(parts)
        for consumer in loops.consumers():
            process.loop(consumer.durable, consumer.run)
        for name, timer in loops.timers():
            process.loop(name, timer)
    await process.enter(health.serve(checks, config.process.metrics_listen))


def servicers(config: Config, parts: Parts) -> tuple[StoryServicer, StoryAdminServicer]:
    """Return what this process serves: to people, and to staff."""
    store, cache, clock = parts.store, parts.cache, parts.clock
    cursors = CursorSigner(config.cursor_key)
    find_reels = FindReels(store=store, cache=cache)
    find_stories = FindStories(store=store, cache=cache, clock=clock, find_reels=find_reels)
    find_followees = FindFollowees(cache=cache, graph=parts.graph)
    check_audience = CheckAudience(graph=parts.graph, find_followees=find_followees)
    view_stories = ViewStories(store=store, clock=clock, photos=parts.photos)
    get_story_record = GetStoryRecord(store=store)
    stories = StoryServicer(
        publish_story=PublishStory(
            store=store,
            cache=cache,
            media=parts.media,
            photos=parts.photos,
            clock=clock,
            ids=IdMaker(clock=clock, node=config.process.node),
            wakeup=parts.wakeup,
            daily_limit=config.daily_limit,
        ),
        delete_story=DeleteStory(store=store, cache=cache, wakeup=parts.wakeup),
        get_story_tray=GetStoryTray(
            store=store,
            cache=cache,
            clock=clock,
            photos=parts.photos,
            find_followees=find_followees,
            find_reels=find_reels,
            find_stories=find_stories,
            find_people=FindPeople(graph=parts.graph),
        ),
        list_stories=ListStories(
            find_reels=find_reels,
            find_stories=find_stories,
            check_audience=check_audience,
            view_stories=view_stories,
        ),
        get_stories=GetStories(find_stories=find_stories, check_audience=check_audience, view_stories=view_stories),
        mark_seen=MarkSeen(
            store=store, cache=cache, clock=clock, find_stories=find_stories, check_audience=check_audience
        ),
        list_viewers=ListViewers(store=store, clock=clock, graph=parts.graph, find_stories=find_stories),
        cursors=cursors,
        wire=Wire(),
    )
    admin = StoryAdminServicer(
        reconcile_stories=ReconcileStories(
            store=store, cache=cache, clock=clock, media=parts.media, media_care=parts.media_care
        ),
        catch_up_expiry=CatchUpExpiry(
            sweep=_sweep(parts), purge=PurgeStories(store=store, media=parts.media_care, wakeup=parts.wakeup)
        ),
        set_legal_hold=SetLegalHold(store=store, media=parts.media_care, get_story_record=get_story_record),
        get_story_record=get_story_record,
        cursors=cursors,
    )
    return stories, admin


def workers(parts: Parts) -> Workers:
    """Return the loops of this process."""
    return Workers(
        jetstream=parts.jetstream,
        schedule_expiry=ScheduleExpiry(schedule=parts.schedule, clock=parts.clock),
        refresh_reel=RefreshReel(cache=parts.cache),
        expire_on_time=ExpireOnTime(store=parts.store, clock=parts.clock, end_stories=_ends(parts)),
        expire_story=ExpireStory(store=parts.store, cache=parts.cache, clock=parts.clock),
        sweep_stories=_sweep(parts),
        purge_stories=PurgeStories(store=parts.store, media=parts.media_care, wakeup=parts.wakeup),
        forget_views=ForgetViews(store=parts.store),
        notify_followers=NotifyFollowers(graph=parts.graph, jetstream=parts.jetstream),
        drop_followees=DropFollowees(cache=parts.cache),
    )


def _ends(parts: Parts) -> EndStories:
    return EndStories(store=parts.store, schedule=parts.schedule)


def _sweep(parts: Parts) -> SweepStories:
    return SweepStories(store=parts.store, end_stories=_ends(parts))


async def _peers(process: Process, config: Config, credentials: Credentials) -> tuple[Graph, Media, MediaCare]:
    feed_channel = await process.enter(
        client.connect(
            config.feed_address,
            server_name="feed_svc",
            services=[graph_service_pb2.DESCRIPTOR.services_by_name["GraphService"]],
            credentials=credentials,
        )
    )
    media_channel = await process.enter(
        client.connect(
            config.media_address,
            server_name="media_svc",
            services=[
                media_service_pb2.DESCRIPTOR.services_by_name["MediaService"],
                media_admin_service_pb2.DESCRIPTOR.services_by_name["MediaAdminService"],
            ],
            credentials=credentials,
        )
    )
    return (
        Graph(graph_service_pb2_grpc.GraphServiceStub(feed_channel)),
        Media(media_service_pb2_grpc.MediaServiceStub(media_channel)),
        MediaCare(media_admin_service_pb2_grpc.MediaAdminServiceStub(media_channel)),
    )
