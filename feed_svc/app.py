"""Wiring: every object of the process, and what each role starts."""

from feed_svc import events
from feed_svc.cache import Cache
from feed_svc.config import Config
from feed_svc.peers import Media
from feed_svc.servicer import FeedServicer, GraphServicer, PostServicer
from feed_svc.store import Store
from feed_svc.usecases.block_user import BlockUser, UnblockUser
from feed_svc.usecases.build_timeline import BuildTimeline
from feed_svc.usecases.check_relations import CheckRelations
from feed_svc.usecases.create_post import CreatePost
from feed_svc.usecases.delete_post import DeletePost
from feed_svc.usecases.drop_timelines import DropTimelines
from feed_svc.usecases.fan_out_post import FanOutPost
from feed_svc.usecases.follow_user import FollowUser, UnfollowUser
from feed_svc.usecases.get_home_feed import GetHomeFeed
from feed_svc.usecases.get_posts import GetPosts, ListPostsByAuthor
from feed_svc.usecases.get_users import GetUserByUsername, GetUsers
from feed_svc.usecases.hydrate_posts import HydratePosts
from feed_svc.usecases.list_edges import ListFollowees, ListFollowers
from feed_svc.usecases.upsert_user import UpsertUser
from feed_svc.wire import Wire
from feed_svc.workers import Workers
from heliograph.feed.v1 import feed_service_pb2_grpc, graph_service_pb2_grpc, post_service_pb2_grpc
from heliograph.media.v1 import media_service_pb2, media_service_pb2_grpc
from mesh import health, jetstream, periodic, postgres, redis
from mesh.auth import TokenVerifier
from mesh.clock import SystemClock
from mesh.config import DEVELOPMENT
from mesh.cursor import CursorSigner
from mesh.entry import SERVE, WORK
from mesh.grpc import client, server
from mesh.grpc.server import Service
from mesh.grpc.tls import Credentials
from mesh.health import Health
from mesh.ids import IdMaker
from mesh.lifecycle import Process
from mesh.outbox import Relay, Wakeup

POSTS = "heliograph.feed.v1.PostService"
FEED = "heliograph.feed.v1.FeedService"
GRAPH = "heliograph.feed.v1.GraphService"

CALLERS = {
    POSTS: frozenset({"gateway"}),
    f"/{FEED}/GetHomeFeed": frozenset({"gateway"}),
    FEED: frozenset({"cli"}),
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


async def start(process: Process, config: Config, roles: frozenset[str]) -> None:
    """Connect to everything, then start what the roles ask for."""
    credentials = Credentials.from_config(config.tls)
    database = await process.enter(postgres.connect(config.postgres))
    await database.refuse_unless_durable()
    redis_client = await process.enter(redis.connect(config.redis_url))
    messaging = await process.enter(jetstream.connect(config.nats_url, name="feed_svc"))
    for stream in events.STREAMS:
        await messaging.declare_stream(stream)
    store = Store(database)
    cache = Cache(redis_client, timeline_length=config.timeline_length)
    await cache.load_functions()
    wakeup = Wakeup(messaging, "feed_svc")

    checks = Health()
    checks.depends_on("postgres", database.ping)
    checks.depends_on("redis", redis_client.ping)
    checks.depends_on("nats", messaging.ping)

    if SERVE in roles:
        media_channel = await process.enter(
            client.connect(
                config.media_address,
                server_name="media_svc",
                services=[media_service_pb2.DESCRIPTOR.services_by_name["MediaService"]],
                credentials=credentials,
            )
        )
        media = Media(media_service_pb2_grpc.MediaServiceStub(media_channel))
        running = await process.enter(
            server.serve(
                listen=config.process.listen,
                services=_services(config, store, cache, media, wakeup),
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
        relay = Relay(postgres=database, jetstream=messaging, wakeup=wakeup)
        process.loop("outbox_relay", relay.run)
        process.loop("outbox_lag", periodic.every(LAG_SECONDS, "outbox_lag", relay.measure))
        workers = Workers(
            jetstream=messaging,
            fan_out_post=FanOutPost(store=store, cache=cache),
            drop_timelines=DropTimelines(cache=cache),
        )
        for consumer in workers.consumers():
            process.loop(consumer.durable, consumer.run)
    await process.enter(health.serve(checks, config.process.metrics_listen))


def _services(config: Config, store: Store, cache: Cache, media: Media, wakeup: Wakeup) -> list[Service]:
    ids = IdMaker(clock=SystemClock(), node=config.process.node)
    cursors = CursorSigner(config.cursor_key)
    wire = Wire(media_public_url=config.media_public_url.rstrip("/"))
    hydrate = HydratePosts(store=store)
    drop_timelines = DropTimelines(cache=cache)
    get_users = GetUsers(store=store)
    posts = PostServicer(
        create_post=CreatePost(store=store, cache=cache, media=media, ids=ids, wakeup=wakeup),
        delete_post=DeletePost(store=store, wakeup=wakeup),
        get_posts=GetPosts(store=store, hydrate=hydrate),
        list_posts_by_author=ListPostsByAuthor(store=store, hydrate=hydrate),
        cursors=cursors,
        wire=wire,
    )
    feed = FeedServicer(
        get_home_feed=GetHomeFeed(
            store=store,
            cache=cache,
            hydrate=hydrate,
            build_timeline=BuildTimeline(store=store, cache=cache, timeline_length=config.timeline_length),
        ),
        cursors=cursors,
        wire=wire,
    )
    graph = GraphServicer(
        upsert_user=UpsertUser(store=store, ids=ids, wakeup=wakeup),
        get_users=get_users,
        get_user_by_username=GetUserByUsername(store=store, get_users=get_users),
        follow_user=FollowUser(store=store, wakeup=wakeup, drop_timelines=drop_timelines),
        unfollow_user=UnfollowUser(store=store, wakeup=wakeup, drop_timelines=drop_timelines),
        block_user=BlockUser(store=store, wakeup=wakeup, drop_timelines=drop_timelines),
        unblock_user=UnblockUser(store=store, wakeup=wakeup),
        list_followees=ListFollowees(store=store),
        list_followers=ListFollowers(store=store),
        check_relations=CheckRelations(store=store),
        cursors=cursors,
    )
    return [
        Service(POSTS, lambda to: post_service_pb2_grpc.add_PostServiceServicer_to_server(posts, to)),
        Service(FEED, lambda to: feed_service_pb2_grpc.add_FeedServiceServicer_to_server(feed, to)),
        Service(GRAPH, lambda to: graph_service_pb2_grpc.add_GraphServiceServicer_to_server(graph, to)),
    ]
