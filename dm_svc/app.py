"""Wiring: every object of the process, and what each role starts."""

from collections.abc import Mapping

from dm_svc.cache import Cache
from dm_svc.config import Config
from dm_svc.domain.rules import MAP_VERSION
from dm_svc.events import Announcer, Log, Positions
from dm_svc.peers import Graph, Media
from dm_svc.servicer.inbox import InboxServicer
from dm_svc.servicer.messages import MessageServicer
from dm_svc.store.log import LogMap, LogStore
from dm_svc.store.reads import ReadStore
from dm_svc.usecases.announce_entries import AnnounceEntries
from dm_svc.usecases.append_and_wait import AppendAndWait
from dm_svc.usecases.await_log import AwaitLog
from dm_svc.usecases.choose_settings import GetSettings, UpdateSettings
from dm_svc.usecases.decide_request import DecideRequest
from dm_svc.usecases.limit_rate import LimitRate
from dm_svc.usecases.mark_read import MarkRead
from dm_svc.usecases.persist_entries import PersistEntries
from dm_svc.usecases.read_conversations import GetConversation, GetConversations, ListConversations
from dm_svc.usecases.read_messages import GetMessages, ListMessages
from dm_svc.usecases.replay_inbox import GetInboxHeads, ReplayInbox
from dm_svc.usecases.send_message import SendChecks, SendMessage
from dm_svc.usecases.tell_live import ReportPresence, SetTyping
from dm_svc.usecases.unsend_message import UnsendMessage
from dm_svc.wire import Wire
from dm_svc.workers.monitor import refuse_unless_log_is_durable
from dm_svc.workers.owner import Owner
from dm_svc.workers.partitions import Partitions
from heliograph.dm.v1 import inbox_service_pb2_grpc, message_service_pb2_grpc
from heliograph.feed.v1 import graph_service_pb2, graph_service_pb2_grpc
from heliograph.media.v1 import media_service_pb2, media_service_pb2_grpc
from mesh import health, jetstream, objectstore, postgres, redis
from mesh.auth import TokenVerifier
from mesh.clock import SystemClock
from mesh.config import DEVELOPMENT
from mesh.cursor import CursorSigner
from mesh.entry import SERVE, WORK
from mesh.errors import RefusedToServe
from mesh.grpc import client, server
from mesh.grpc.server import Service
from mesh.grpc.tls import Credentials
from mesh.health import Health
from mesh.lifecycle import Process

MESSAGES = "heliograph.dm.v1.MessageService"
INBOX = "heliograph.dm.v1.InboxService"

CALLERS: Mapping[str, frozenset[str]] = {
    MESSAGES: frozenset({"gateway"}),
    INBOX: frozenset({"gateway"}),
}
"""Who may call what, by the name in the caller's certificate."""

NOTICES_PER_SECOND = 5
"""Typing and presence notices of one person."""
BURST = 5


async def start(process: Process, config: Config, roles: frozenset[str]) -> None:
    """Connect to everything, then start what the roles ask for."""
    credentials = Credentials.from_config(config.tls)
    await refuse_unless_log_is_durable(config.nats_monitor_urls)
    database = await process.enter(
        postgres.connect(config.postgres, idle_in_transaction_seconds=config.takeover_seconds)
    )
    await database.refuse_unless_durable()
    redis_client = await process.enter(redis.connect(config.redis_url))
    messaging = await process.enter(jetstream.connect(config.nats_url, name="dm_svc"))
    log_store = LogStore(database)
    log = Log(messaging, partitions=await _partitions(config, log_store))
    await log.declare(replicas=config.replicas, days=config.log_days)
    cache = Cache(redis_client)
    clock = SystemClock()
    announcer = Announcer(messaging, clock)

    checks = Health()
    checks.depends_on("postgres", database.ping)
    checks.depends_on("redis", redis_client.ping)
    checks.depends_on("nats", messaging.ping)

    media = Media(
        media_service_pb2_grpc.MediaServiceStub(
            await process.enter(
                client.connect(
                    config.media_address,
                    server_name="media_svc",
                    services=[media_service_pb2.DESCRIPTOR.services_by_name["MediaService"]],
                    credentials=credentials,
                )
            )
        )
    )
    if SERVE in roles:
        graph = Graph(
            graph_service_pb2_grpc.GraphServiceStub(
                await process.enter(
                    client.connect(
                        config.feed_address,
                        server_name="feed_svc",
                        services=[graph_service_pb2.DESCRIPTOR.services_by_name["GraphService"]],
                        credentials=credentials,
                    )
                )
            )
        )
        positions = Positions()
        await positions.listen(messaging)
        wire = Wire(objects=await process.enter(objectstore.connect(config.s3)), clock=clock)
        store = ReadStore(database)
        messages = _messages(config, store, cache, log, positions, announcer, graph, media, wire, clock)
        inbox = InboxServicer(
            replay_inbox=ReplayInbox(store=store, cache=cache), get_inbox_heads=GetInboxHeads(store=store), wire=wire
        )
        running = await process.enter(
            server.serve(
                listen=config.process.listen,
                services=[
                    Service(
                        MESSAGES, lambda to: message_service_pb2_grpc.add_MessageServiceServicer_to_server(messages, to)
                    ),
                    Service(INBOX, lambda to: inbox_service_pb2_grpc.add_InboxServiceServicer_to_server(inbox, to)),
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
        announce = AnnounceEntries(store=log_store, cache=cache, log=log, announcer=announcer)

        def own(partition: int) -> Owner:
            return Owner(
                partition=partition,
                jetstream=messaging,
                store=log_store,
                persist=PersistEntries(store=log_store),
                announce=announce,
                announcer=announcer,
                batch_size=config.batch_size,
            )

        partitions = Partitions(
            config=config.postgres,
            store=log_store,
            own=own,
            count=log.partitions,
            takeover_seconds=config.takeover_seconds,
        )
        process.loop("partitions", partitions.run)
    await process.enter(health.serve(checks, config.process.metrics_listen))


def _messages(
    config: Config,
    store: ReadStore,
    cache: Cache,
    log: Log,
    positions: Positions,
    announcer: Announcer,
    graph: Graph,
    media: Media,
    wire: Wire,
    clock: SystemClock,
) -> MessageServicer:
    await_log = AwaitLog(store=store, log=log, positions=positions, wait_seconds=config.read_wait_seconds)
    append = AppendAndWait(log=log, positions=positions, await_log=await_log)
    get_conversation = GetConversation(store=store, await_log=await_log)
    limit_notices = LimitRate(clock, per_second=NOTICES_PER_SECOND, burst=NOTICES_PER_SECOND * BURST)
    return MessageServicer(
        send_message=SendMessage(
            store=store,
            checks=SendChecks(store=store, graph=graph, cache=cache),
            media=media,
            log=log,
            positions=positions,
            limit=LimitRate(clock, per_second=config.sends_per_second, burst=config.sends_per_second * BURST),
            clock=clock,
        ),
        list_messages=ListMessages(store=store, get_conversation=get_conversation),
        get_messages=GetMessages(store=store, await_log=await_log),
        list_conversations=ListConversations(store=store, await_log=await_log),
        get_conversation=get_conversation,
        get_conversations=GetConversations(store=store, await_log=await_log),
        mark_read=MarkRead(get_conversation=get_conversation, append=append, clock=clock),
        unsend_message=UnsendMessage(store=store, await_log=await_log, append=append, clock=clock),
        set_typing=SetTyping(store=store, graph=graph, announcer=announcer, limit=limit_notices),
        report_presence=ReportPresence(store=store, graph=graph, announcer=announcer, limit=limit_notices),
        decide_request=DecideRequest(get_conversation=get_conversation, append=append, clock=clock),
        get_settings=GetSettings(store=store),
        update_settings=UpdateSettings(store=store),
        cursors=CursorSigner(config.cursor_key),
        wire=wire,
    )


async def _partitions(config: Config, store: LogStore) -> int:
    """Return the number of partitions; `RefusedToServe` when the setting disagrees with the database's first start."""
    wanted = LogMap(version=MAP_VERSION, partitions=config.partitions)
    fixed = await store.fix_map(wanted)
    if fixed != wanted:
        raise RefusedToServe(
            f"this database's log has {fixed.partitions} partitions (map {fixed.version}); "
            f"HELIOGRAPH_DM_PARTITIONS={config.partitions} would change the order of messages"
        )
    return fixed.partitions
