"""Wiring: every object of the process, and what each role starts."""

from collections.abc import Mapping
from dataclasses import dataclass

from dm_svc.cache import Cache
from dm_svc.config import Config
from dm_svc.domain.rules import MAP_VERSION
from dm_svc.events import Announcer, Connections, Log, Positions
from dm_svc.peers import webhook
from dm_svc.peers.graph import Graph
from dm_svc.peers.media import Media
from dm_svc.servicer.admin import AdminServicer
from dm_svc.servicer.inbox import InboxServicer
from dm_svc.servicer.messages import MessageServicer
from dm_svc.store.care import CareStore
from dm_svc.store.log import LogMap, LogStore
from dm_svc.store.reads import ReadStore
from dm_svc.usecases.announce_entries import AnnounceEntries
from dm_svc.usecases.append_and_wait import AppendAndWait
from dm_svc.usecases.await_log import AwaitLog
from dm_svc.usecases.choose_settings import GetSettings, UpdateSettings
from dm_svc.usecases.dead_letters import GetDeadLetter, ListDeadLetters, ReplayDeadLetters
from dm_svc.usecases.decide_request import DecideRequest
from dm_svc.usecases.erase_unsent import EraseUnsent
from dm_svc.usecases.fill_pending import FillPending
from dm_svc.usecases.limit_rate import LimitRate
from dm_svc.usecases.mark_read import MarkRead
from dm_svc.usecases.notify_push import NotifyPush
from dm_svc.usecases.persist_entries import PersistEntries
from dm_svc.usecases.read_conversations import GetConversation, GetConversations, ListConversations
from dm_svc.usecases.read_messages import GetMessages, ListMessages
from dm_svc.usecases.replay_inbox import GetInboxHeads, ReplayInbox
from dm_svc.usecases.send_message import SendChecks, SendMessage
from dm_svc.usecases.tell_live import ReportPresence, SetTyping
from dm_svc.usecases.trim_inboxes import TrimInboxes
from dm_svc.usecases.unsend_message import UnsendMessage
from dm_svc.usecases.verify_conversations import VerifyConversations
from dm_svc.wire import Wire
from dm_svc.workers.consumers import Consumers
from dm_svc.workers.monitor import refuse_unless_log_is_durable
from dm_svc.workers.owner import Owner
from dm_svc.workers.partitions import Partitions
from heliograph.dm.v1.inbox_service_pb2_grpc import add_InboxServiceServicer_to_server
from heliograph.dm.v1.message_admin_service_pb2_grpc import add_MessageAdminServiceServicer_to_server
from heliograph.dm.v1.message_service_pb2_grpc import add_MessageServiceServicer_to_server
from heliograph.feed.v1 import graph_service_pb2, graph_service_pb2_grpc
from heliograph.media.v1 import media_service_pb2, media_service_pb2_grpc
from mesh import health, jetstream, periodic, postgres, redis, redis_bulk
from mesh.auth import TokenVerifier
from mesh.clock import Clock, SystemClock
from mesh.config import DEVELOPMENT
from mesh.cursor import CursorSigner
from mesh.entry import SERVE, WORK
from mesh.errors import RefusedToServe
from mesh.grpc import client, server
from mesh.grpc.server import Service
from mesh.grpc.tls import Credentials
from mesh.health import Health
from mesh.jetstream import JetStream
from mesh.lifecycle import Process
from mesh.postgres import Postgres
from mesh.presign import Presigner

ADMIN = "heliograph.dm.v1.MessageAdminService"
MESSAGES = "heliograph.dm.v1.MessageService"
INBOX = "heliograph.dm.v1.InboxService"

CALLERS: Mapping[str, frozenset[str]] = {
    MESSAGES: frozenset({"gateway"}),
    INBOX: frozenset({"gateway"}),
    ADMIN: frozenset({"cli"}),
}
"""Who may call what, by the name in the caller's certificate."""

NOTICES_PER_SECOND = 5
"""Typing and presence notices of one person."""
BURST = 5
ANSWERS_LINGER_SECONDS = 0.008
"""How long after others an answer waits for more while they come in company: a recipient does not wait for it."""
ERASE_SECONDS = 1.0
TRIM_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What both roles are made of."""

    config: Config
    database: Postgres
    messaging: JetStream
    log: Log
    log_store: LogStore
    cache: Cache
    clock: Clock
    announcer: Announcer
    announce: AnnounceEntries
    media: Media


async def start(process: Process, config: Config, roles: frozenset[str]) -> None:
    """Connect to everything, then start what the roles ask for."""
    if (config.push_webhook_url is None) != (config.push_webhook_secret is None):
        raise RefusedToServe("HELIOGRAPH_DM_PUSH_WEBHOOK_URL and _SECRET go together: set both or neither")
    credentials = Credentials.from_config(config.tls)
    await refuse_unless_log_is_durable(config.nats_monitor_urls)
    database = await process.enter(
        postgres.connect(config.postgres, idle_in_transaction_seconds=config.takeover_seconds, plans_once=True)
    )
    await database.refuse_unless_durable()
    redis_client = await process.enter(redis.connect(config.redis_url))
    messaging = await process.enter(jetstream.connect(config.nats_url, name="dm_svc"))
    checks = Health()
    checks.depends_on("postgres", database.ping)
    checks.depends_on("redis", redis_client.ping)
    checks.depends_on("nats", messaging.ping)
    bulk = await process.enter(redis_bulk.connect(redis_client, config.redis_url, answer_seconds=redis.ANSWER_SECONDS))
    cache = Cache(redis_client, bulk)
    parts = await _parts(process, config, credentials, database, messaging, cache)
    if SERVE in roles:
        await _serve(process, parts, credentials, checks)
    if WORK in roles:
        await _work(process, parts)
    await process.enter(health.serve(checks, config.process.metrics_listen))


async def _parts(
    process: Process,
    config: Config,
    credentials: Credentials,
    database: Postgres,
    messaging: JetStream,
    cache: Cache,
) -> Parts:
    log_store = LogStore(database)
    log = Log(messaging, partitions=await _partitions(config, log_store))
    await log.declare(days=config.log_days)
    clock = SystemClock()
    announcer = Announcer(messaging, clock)
    fill_pending = FillPending(cache)
    process.loop("fill_pending", fill_pending.run)
    media_channel = await process.enter(
        client.connect(
            config.media_address,
            server_name="media_svc",
            services=[media_service_pb2.DESCRIPTOR.services_by_name["MediaService"]],
            credentials=credentials,
        )
    )
    return Parts(
        config=config,
        database=database,
        messaging=messaging,
        log=log,
        log_store=log_store,
        cache=cache,
        clock=clock,
        announcer=announcer,
        announce=AnnounceEntries(store=log_store, log=log, announcer=announcer, fill_pending=fill_pending),
        media=Media(media_service_pb2_grpc.MediaServiceStub(media_channel)),
    )


async def _serve(process: Process, parts: Parts, credentials: Credentials, checks: Health) -> None:
    config = parts.config
    graph_channel = await process.enter(
        client.connect(
            config.feed_address,
            server_name="feed_svc",
            services=[graph_service_pb2.DESCRIPTOR.services_by_name["GraphService"]],
            credentials=credentials,
        )
    )
    positions = Positions()
    await positions.listen(parts.messaging)
    wire = Wire(presigner=Presigner(config.s3), clock=parts.clock)
    store = ReadStore(parts.database)
    graph = Graph(graph_service_pb2_grpc.GraphServiceStub(graph_channel))
    messages = _messages(parts, store, positions, graph, wire)
    inbox = InboxServicer(
        replay_inbox=ReplayInbox(store=store, cache=parts.cache),
        get_inbox_heads=GetInboxHeads(store=store),
        wire=wire,
    )
    admin = _admin(parts)
    running = await process.enter(
        server.serve(
            listen=config.process.listen,
            services=[
                Service(MESSAGES, lambda to: add_MessageServiceServicer_to_server(messages, to)),
                Service(INBOX, lambda to: add_InboxServiceServicer_to_server(inbox, to)),
                Service(ADMIN, lambda to: add_MessageAdminServiceServicer_to_server(admin, to)),
            ],
            callers=CALLERS,
            credentials=credentials,
            verifier=TokenVerifier.from_config(config.tokens),
            health=checks,
            reflected=config.process.environment == DEVELOPMENT,
            linger_seconds=ANSWERS_LINGER_SECONDS,
        )
    )
    process.loop("grpc_health", running.watch_health)
    process.drain(lambda: running.drain(config.process.drain_seconds))


async def _work(process: Process, parts: Parts) -> None:
    config = parts.config

    persist = PersistEntries(parts.log_store)

    def own(partition: int) -> Owner:
        return Owner(
            partition=partition,
            jetstream=parts.messaging,
            store=parts.log_store,
            persist=persist,
            announce=parts.announce,
            batch_size=config.batch_size,
        )

    partitions = Partitions(
        config=config.postgres,
        store=parts.log_store,
        own=own,
        count=parts.log.partitions,
        takeover_seconds=config.takeover_seconds,
    )
    process.loop("partitions", partitions.run)
    care = CareStore(parts.database)
    erase = EraseUnsent(store=care, cache=parts.cache, log=parts.log, media=parts.media)
    process.loop("erase_unsent", periodic.every(ERASE_SECONDS, "erase_unsent", erase))
    trim = TrimInboxes(store=care, kept_seconds=config.inbox_days * 24 * 3600)
    process.loop("trim_inboxes", periodic.every(TRIM_SECONDS, "trim_inboxes", trim))
    if config.push_webhook_url is not None and config.push_webhook_secret is not None:
        hook = await process.enter(
            webhook.connect(url=config.push_webhook_url, secret=config.push_webhook_secret, clock=parts.clock)
        )
        notify_push = NotifyPush(connections=Connections(parts.messaging), webhook=hook)
        process.loop("push", Consumers(parts.messaging, notify_push).push().run)


def _admin(parts: Parts) -> AdminServicer:
    care = CareStore(parts.database)
    return AdminServicer(
        verify_conversations=VerifyConversations(store=care, log=parts.log),
        list_dead_letters=ListDeadLetters(store=care),
        get_dead_letter=GetDeadLetter(store=care),
        replay_dead_letters=ReplayDeadLetters(store=care, announce=parts.announce),
        cursors=CursorSigner(parts.config.cursor_key),
    )


def _messages(parts: Parts, store: ReadStore, positions: Positions, graph: Graph, wire: Wire) -> MessageServicer:
    config, log, clock, announcer = parts.config, parts.log, parts.clock, parts.announcer
    await_log = AwaitLog(store=store, log=log, positions=positions, wait_seconds=config.read_wait_seconds)
    append = AppendAndWait(log=log, positions=positions, await_log=await_log)
    get_conversation = GetConversation(store=store, await_log=await_log)
    limit_notices = LimitRate(clock, per_second=NOTICES_PER_SECOND, burst=NOTICES_PER_SECOND * BURST)
    return MessageServicer(
        send_message=SendMessage(
            store=store,
            checks=SendChecks(store=store, graph=graph, cache=parts.cache),
            media=parts.media,
            log=log,
            positions=positions,
            await_log=await_log,
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
        set_typing=SetTyping(store=store, graph=graph, announcer=announcer, limit=limit_notices, await_log=await_log),
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
