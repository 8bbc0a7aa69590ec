"""Wiring: every object of the process, and what each role starts."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from feed_svc import events
from feed_svc.cache import Records, Timelines
from feed_svc.config import Config
from feed_svc.events import Events
from feed_svc.peers import Media
from feed_svc.servicer import AdminServicer, FeedServicer, GraphServicer, PostServicer
from feed_svc.store import Store
from feed_svc.usecases.block_user import BlockUser, UnblockUser
from feed_svc.usecases.build_timeline import Builders, BuildTimeline, EvictTimelines, RebuildTimelines
from feed_svc.usecases.check_counts import CheckCounts
from feed_svc.usecases.check_relations import CheckRelations
from feed_svc.usecases.create_post import CreatePost
from feed_svc.usecases.dead_letters import ListDeadLetters, ReplayDeadLetters
from feed_svc.usecases.delete_post import CleanUpPost, DeletePost
from feed_svc.usecases.explain_feed import ExplainFeed
from feed_svc.usecases.fan_out_post import FanOutPost
from feed_svc.usecases.follow_user import FollowUser, UnfollowUser
from feed_svc.usecases.get_home_feed import GetHomeFeed, LastPages
from feed_svc.usecases.get_posts import GetPosts, ListPostsByAuthor
from feed_svc.usecases.get_users import GetUserByUsername, GetUsers
from feed_svc.usecases.hydrate_posts import HydratePosts
from feed_svc.usecases.keep_timeline import KeepTimeline
from feed_svc.usecases.like_post import LikePost, UnlikePost
from feed_svc.usecases.list_people import ListBlockedUsers, ListFollowees, ListFollowers
from feed_svc.usecases.measure_fan_out import MeasureFanOut
from feed_svc.usecases.policies import AdvisePolicy, GetPolicy, PolicyBook, SetPolicy
from feed_svc.usecases.pulled_authors import PulledAuthors
from feed_svc.usecases.tell_followers import TellFollowers
from feed_svc.usecases.update_profile import RefreshProfile, UpdateProfile
from feed_svc.usecases.upsert_user import UpsertUser
from feed_svc.usecases.verify_feeds import VerifyFeeds
from feed_svc.wire import Wire
from feed_svc.workers import Notices, Workers
from heliograph.feed.v1 import (
    feed_admin_service_pb2_grpc,
    feed_service_pb2_grpc,
    graph_service_pb2_grpc,
    post_service_pb2_grpc,
)
from heliograph.media.v1 import media_service_pb2, media_service_pb2_grpc
from mesh import health, jetstream, periodic, postgres, redis, redis_bulk
from mesh.auth import TokenVerifier
from mesh.breaker import Breaker
from mesh.clock import SystemClock
from mesh.config import DEVELOPMENT
from mesh.cursor import CursorSigner
from mesh.entry import SERVE, WORK
from mesh.errors import Unavailable
from mesh.flight import SingleFlight
from mesh.grpc import client, server
from mesh.grpc.server import Service
from mesh.grpc.tls import Credentials
from mesh.health import Health
from mesh.ids import IdMaker
from mesh.jetstream import JetStream
from mesh.lifecycle import Process
from mesh.outbox import Relay, Wakeup
from mesh.redis_bulk import Bulk

POSTS = "heliograph.feed.v1.PostService"
FEED = "heliograph.feed.v1.FeedService"
GRAPH = "heliograph.feed.v1.GraphService"
ADMIN = "heliograph.feed.v1.FeedAdminService"

CALLERS = {
    POSTS: frozenset({"gateway"}),
    f"/{FEED}/GetHomeFeed": frozenset({"gateway"}),
    FEED: frozenset({"cli"}),
    ADMIN: frozenset({"cli"}),
    GRAPH: frozenset({"gateway"}),
    f"/{GRAPH}/UpsertUser": frozenset({"cli"}),
    f"/{GRAPH}/BatchGetUsers": frozenset({"gateway", "story_svc", "dm_svc", "cli"}),
    f"/{GRAPH}/GetUserByUsername": frozenset({"gateway", "cli"}),
    f"/{GRAPH}/ListFollowees": frozenset({"gateway", "story_svc", "cli"}),
    f"/{GRAPH}/ListFollowers": frozenset({"gateway", "story_svc", "cli"}),
    f"/{GRAPH}/CheckRelations": frozenset({"gateway", "story_svc", "dm_svc"}),
}
"""Who may call what, by the name in the caller's certificate."""

LAG_SECONDS = 5.0
PULLED_SECONDS = 1.0
NOTICE_SECONDS = 0.5
VERIFY_SECONDS = 60.0
COUNTS_SECONDS = 300.0
EVICTION_SECONDS = 60.0
REDIS_READ_SECONDS = 0.25
POSTGRES_READ_SECONDS = 1.5
PULLS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Parts:
    """What both roles are made of."""

    config: Config
    store: Store
    timelines: Timelines
    records: Records
    events: Events
    messaging: JetStream
    media: Media
    wakeup: Wakeup
    clock: SystemClock
    wire: Wire
    keep: KeepTimeline
    hydrate: HydratePosts
    pulled: PulledAuthors
    pages: LastPages
    builders: Builders
    build: BuildTimeline
    get_home_feed: GetHomeFeed


async def start(process: Process, config: Config, roles: frozenset[str]) -> None:
    """Connect to everything, then start what the roles ask for."""
    credentials = Credentials.from_config(config.tls)
    database = await process.enter(postgres.connect(config.postgres))
    await database.refuse_unless_durable()
    redis_client = await process.enter(redis.connect(config.redis_url))
    messaging = await process.enter(jetstream.connect(config.nats_url, name="feed_svc"))
    for stream in events.STREAMS:
        await messaging.declare_stream(stream)
    media_channel = await process.enter(
        client.connect(
            config.media_address,
            server_name="media_svc",
            services=[media_service_pb2.DESCRIPTOR.services_by_name["MediaService"]],
            credentials=credentials,
        )
    )
    bulk = await process.enter(redis_bulk.connect(redis_client, config.redis_url))
    media = Media(media_service_pb2_grpc.MediaServiceStub(media_channel))
    parts = assemble(config, Store(database), redis_client, bulk, messaging, media)
    await parts.timelines.load_functions()

    checks = Health()
    checks.depends_on("postgres", database.ping)
    checks.depends_on("redis", redis_client.ping)
    checks.depends_on("nats", messaging.ping)
    process.loop("pulled_authors", periodic.every(PULLED_SECONDS, "pulled_authors", parts.pulled.refresh))
    process.loop("timeline_builders", parts.builders.run)

    if SERVE in roles:
        await Notices(messaging, parts.pulled, parts.records, parts.pages).listen()
        running = await process.enter(
            server.serve(
                listen=config.process.listen,
                services=_services(parts),
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
        relay = Relay(postgres=database, jetstream=messaging, wakeup=parts.wakeup)
        process.loop("outbox_relay", relay.run)
        process.loop("outbox_lag", periodic.every(LAG_SECONDS, "outbox_lag", relay.measure))
        _start_work(process, parts)
    await process.enter(health.serve(checks, config.process.metrics_listen))


def assemble(
    config: Config, store: Store, redis_client: redis.AnyRedis, bulk: Bulk, messaging: JetStream, media: Media
) -> Parts:
    """Build what both roles share."""
    clock = SystemClock()
    timelines = Timelines(redis_client, bulk, timeline_length=config.timeline_length)
    records = Records(redis_client)
    wire = Wire(media_public_url=config.media_public_url.rstrip("/"))
    hydrate = HydratePosts(store=store, records=records, wire=wire)
    build = BuildTimeline(store=store, timelines=timelines, clock=clock)
    builders = Builders(build)
    pulled = PulledAuthors(store, clock)
    pages = LastPages(clock)
    return Parts(
        config=config,
        store=store,
        timelines=timelines,
        records=records,
        events=Events(messaging),
        messaging=messaging,
        media=media,
        wakeup=Wakeup(messaging, "feed_svc"),
        clock=clock,
        wire=wire,
        keep=KeepTimeline(store=store, timelines=timelines, clock=clock),
        hydrate=hydrate,
        pulled=pulled,
        pages=pages,
        builders=builders,
        build=build,
        get_home_feed=GetHomeFeed(
            store=store,
            timelines=timelines,
            hydrate=hydrate,
            pulled=pulled,
            builders=builders,
            pages=pages,
            flights=SingleFlight(limit=PULLS_AT_ONCE),
            redis_breaker=Breaker("redis", trouble=redis.TROUBLE, call_seconds=REDIS_READ_SECONDS),
            postgres_breaker=Breaker("postgres", trouble=(Unavailable,), call_seconds=POSTGRES_READ_SECONDS),
            clock=clock,
        ),
    )


def workers_of(parts: Parts, tell: TellFollowers) -> Workers:
    """Build the consumers."""
    return Workers(
        jetstream=parts.messaging,
        store=parts.store,
        fan_out_post=FanOutPost(
            store=parts.store, timelines=parts.timelines, events=parts.events, tell=tell, clock=parts.clock
        ),
        clean_up_post=CleanUpPost(store=parts.store, records=parts.records, media=parts.media),
        keep=parts.keep,
    )


def _start_work(process: Process, parts: Parts) -> None:
    tell = TellFollowers(parts.events)
    for consumer in workers_of(parts, tell).consumers():
        process.loop(consumer.durable, consumer.run)
    jobs: dict[str, tuple[float, Callable[[], Awaitable[object]]]] = {
        "feed_notices": (NOTICE_SECONDS, tell.round),
        "fan_out_lag": (LAG_SECONDS, MeasureFanOut(store=parts.store)),
        "feed_verify": (VERIFY_SECONDS, VerifyFeeds(parts.store, parts.get_home_feed).in_background),
        "counter_check": (COUNTS_SECONDS, CheckCounts(store=parts.store)),
        "timeline_eviction": (
            EVICTION_SECONDS,
            EvictTimelines(parts.store, parts.timelines, parts.config.timeline_days * 86_400.0),
        ),
    }
    for name, (seconds, job) in jobs.items():
        process.loop(name, periodic.every(seconds, name, job))


@dataclass(frozen=True, slots=True)
class Servicers:
    """The faces of the service."""

    posts: PostServicer
    feed: FeedServicer
    graph: GraphServicer
    admin: AdminServicer


def servicers_of(parts: Parts) -> Servicers:
    """Build every use case and what calls it."""
    store, wakeup, keep, clock = parts.store, parts.wakeup, parts.keep, parts.clock
    ids = IdMaker(clock=clock, node=parts.config.process.node)
    cursors = CursorSigner(parts.config.cursor_key)
    policies = PolicyBook(store, clock)
    get_users = GetUsers(store=store)
    get_posts = GetPosts(store=store, hydrate=parts.hydrate)
    refresh = RefreshProfile(store=store, records=parts.records, wire=parts.wire)
    posts = PostServicer(
        create_post=CreatePost(
            store=store,
            media=parts.media,
            ids=ids,
            policies=policies,
            hydrate=parts.hydrate,
            keep=keep,
            wakeup=wakeup,
        ),
        like_post=LikePost(store=store, get_posts=get_posts),
        unlike_post=UnlikePost(store=store, get_posts=get_posts),
        delete_post=DeletePost(store=store, records=parts.records, wakeup=wakeup),
        get_posts=get_posts,
        list_posts_by_author=ListPostsByAuthor(store=store, hydrate=parts.hydrate),
        cursors=cursors,
        wire=parts.wire,
    )
    feed = FeedServicer(
        get_home_feed=parts.get_home_feed,
        explain_feed=ExplainFeed(store=store, timelines=parts.timelines),
        get_policy=GetPolicy(store=store),
        set_policy=SetPolicy(store=store, book=policies, clock=clock),
        cursors=cursors,
        wire=parts.wire,
    )
    graph = GraphServicer(
        upsert_user=UpsertUser(store=store, ids=ids, refresh=refresh, wakeup=wakeup, clock=clock),
        get_users=get_users,
        get_user_by_username=GetUserByUsername(store=store, get_users=get_users),
        follow_user=FollowUser(store=store, wakeup=wakeup, keep=keep, clock=clock),
        unfollow_user=UnfollowUser(store=store, wakeup=wakeup, keep=keep, clock=clock),
        block_user=BlockUser(store=store, wakeup=wakeup, keep=keep, clock=clock),
        unblock_user=UnblockUser(store=store, wakeup=wakeup, clock=clock),
        list_followees=ListFollowees(store=store),
        list_followers=ListFollowers(store=store),
        check_relations=CheckRelations(store=store),
        list_blocked_users=ListBlockedUsers(store=store),
        update_profile=UpdateProfile(store=store, media=parts.media, refresh=refresh, wakeup=wakeup, clock=clock),
        cursors=cursors,
        wire=parts.wire,
    )
    admin = AdminServicer(
        verify_feeds=VerifyFeeds(store=store, get_home_feed=parts.get_home_feed),
        rebuild_timelines=RebuildTimelines(store=store, build=parts.build, timelines=parts.timelines),
        advise_policy=AdvisePolicy(store=store, clock=clock),
        list_dead_letters=ListDeadLetters(store=store),
        replay_dead_letters=ReplayDeadLetters(store=store, wakeup=wakeup),
        cursors=cursors,
    )
    return Servicers(posts, feed, graph, admin)


def _services(parts: Parts) -> list[Service]:
    faces = servicers_of(parts)
    add_posts = post_service_pb2_grpc.add_PostServiceServicer_to_server
    add_feed = feed_service_pb2_grpc.add_FeedServiceServicer_to_server
    add_graph = graph_service_pb2_grpc.add_GraphServiceServicer_to_server
    add_admin = feed_admin_service_pb2_grpc.add_FeedAdminServiceServicer_to_server
    return [
        Service(POSTS, lambda to: add_posts(faces.posts, to)),
        Service(FEED, lambda to: add_feed(faces.feed, to)),
        Service(GRAPH, lambda to: add_graph(faces.graph, to)),
        Service(ADMIN, lambda to: add_admin(faces.admin, to)),
    ]
