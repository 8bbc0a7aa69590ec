"""Wiring: every object of the process, and what each role starts."""

from heliograph.media.v1 import media_admin_service_pb2_grpc, media_service_pb2_grpc
from media_svc import events
from media_svc.config import Config
from media_svc.domain import Quota
from media_svc.events import Notices
from media_svc.imaging import decoders
from media_svc.servicer import MediaAdminServicer, MediaServicer
from media_svc.store import Store
from media_svc.usecases.abort_upload import AbortUpload, GiveUpUpload
from media_svc.usecases.attach_upload import AttachUpload
from media_svc.usecases.complete_upload import CompleteUpload
from media_svc.usecases.create_upload import CreateUpload, OpenUpload
from media_svc.usecases.delete_media import DeleteMedia
from media_svc.usecases.get_media import GetMedia
from media_svc.usecases.get_upload import GetUpload
from media_svc.usecases.legal_hold import SetLegalHold
from media_svc.usecases.list_attachments import ListAttachments
from media_svc.usecases.process_upload import ProcessUpload
from media_svc.usecases.purge_media import PurgeMedia
from media_svc.usecases.reconcile_media import ReconcileMedia
from media_svc.usecases.resumable_upload import CreateResumableUpload, ListUploadParts, SignUploadParts
from media_svc.usecases.sweep_uploads import SweepUploads
from media_svc.workers import Workers
from mesh import health, jetstream, objectstore, periodic, postgres
from mesh.auth import TokenVerifier
from mesh.clock import Clock, SystemClock
from mesh.config import DEVELOPMENT
from mesh.cursor import CursorSigner
from mesh.entry import SERVE, WORK
from mesh.grpc import server
from mesh.grpc.server import Service
from mesh.grpc.tls import Credentials
from mesh.health import Health
from mesh.lifecycle import Process
from mesh.multipart import MultipartStore
from mesh.objectstore import ObjectStore
from mesh.outbox import Relay, Wakeup

MEDIA = "heliograph.media.v1.MediaService"
ADMIN = "heliograph.media.v1.MediaAdminService"

GATEWAY = frozenset({"gateway"})
OWNERS = frozenset({"feed_svc", "story_svc", "dm_svc"})
"""The services that show photos."""

CALLERS = {
    MEDIA: GATEWAY,
    f"/{MEDIA}/AttachUpload": OWNERS,
    f"/{MEDIA}/BatchGetMedia": OWNERS,
    f"/{MEDIA}/DeleteMedia": OWNERS,
    f"/{ADMIN}/ReconcileMedia": frozenset({"cli"}),
    f"/{ADMIN}/ListAttachments": OWNERS,
    f"/{ADMIN}/PurgeMedia": frozenset({"story_svc", "cli"}),
    f"/{ADMIN}/SetMediaLegalHold": frozenset({"story_svc", "cli"}),
}
"""Who may call what, by the name in the caller's certificate."""

LAG_SECONDS = 5.0


async def start(process: Process, config: Config, roles: frozenset[str], *, clock: Clock | None = None) -> None:
    """Connect to everything, then start what the roles ask for; the machine's clock unless told another."""
    clock = clock or SystemClock()
    database = await process.enter(postgres.connect(config.postgres))
    await database.refuse_unless_durable()
    messaging = await process.enter(jetstream.connect(config.nats_url, name="media_svc"))
    for stream in events.STREAMS:
        await messaging.declare_stream(stream)
    objects = await process.enter(objectstore.connect(config.s3))
    multipart = MultipartStore(objects, config.s3)
    store = Store(database)
    wakeup = Wakeup(messaging, "media_svc")
    notices = Notices(messaging)
    give_up = GiveUpUpload(store=store, objects=objects, multipart=multipart, notices=notices, clock=clock)
    reconcile_media = ReconcileMedia(store=store, objects=objects, multipart=multipart, give_up=give_up, clock=clock)

    checks = Health()
    checks.depends_on("postgres", database.ping)
    checks.depends_on("nats", messaging.ping)
    checks.depends_on("s3", objects.ping)

    if SERVE in roles:
        running = await process.enter(
            server.serve(
                listen=config.process.listen,
                services=_services(config, store, objects, multipart, notices, wakeup, clock, give_up, reconcile_media),
                callers=CALLERS,
                credentials=Credentials.from_config(config.tls),
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
        developers = await process.enter(decoders.start(config.decoders))
        checks.depends_on("decoders", developers.ping)
        process_upload = ProcessUpload(store=store, objects=objects, decoders=developers, notices=notices, clock=clock)
        purge_media = PurgeMedia(store=store, objects=objects, clock=clock)
        workers = Workers(
            jetstream=messaging,
            store=store,
            process_upload=process_upload,
            purge_media=purge_media,
            sweep_uploads=SweepUploads(
                store=store,
                give_up=give_up,
                process_upload=process_upload,
                purge_media=purge_media,
                wakeup=wakeup,
                clock=clock,
            ),
            reconcile_media=reconcile_media,
            decoders=config.decoders,
        )
        timers = workers.timers(sweep_seconds=config.sweep_seconds, reconcile_seconds=config.reconcile_seconds)
        for name, loop in timers.items():
            process.loop(name, loop)
        for consumer in workers.consumers():
            process.loop(consumer.durable, consumer.run)
    await process.enter(health.serve(checks, config.process.metrics_listen))


def _services(
    config: Config,
    store: Store,
    objects: ObjectStore,
    multipart: MultipartStore,
    notices: Notices,
    wakeup: Wakeup,
    clock: Clock,
    give_up: GiveUpUpload,
    reconcile_media: ReconcileMedia,
) -> list[Service]:
    quota = Quota(
        uploads_per_day=config.quota.uploads_per_day,
        bytes_per_day=config.quota.bytes_per_day,
        open_uploads=config.quota.open_uploads,
    )
    open_upload = OpenUpload(store=store, quota=quota)
    media = MediaServicer(
        create_upload=CreateUpload(open_upload=open_upload, objects=objects, clock=clock),
        create_resumable_upload=CreateResumableUpload(
            open_upload=open_upload, store=store, multipart=multipart, clock=clock
        ),
        sign_upload_parts=SignUploadParts(store=store, multipart=multipart, clock=clock),
        list_upload_parts=ListUploadParts(store=store, multipart=multipart),
        complete_upload=CompleteUpload(
            store=store, objects=objects, multipart=multipart, notices=notices, wakeup=wakeup, clock=clock
        ),
        abort_upload=AbortUpload(store=store, give_up=give_up),
        get_upload=GetUpload(store=store),
        attach_upload=AttachUpload(store=store, clock=clock),
        get_media=GetMedia(store=store),
        delete_media=DeleteMedia(store=store, wakeup=wakeup, clock=clock),
        cursors=CursorSigner(config.cursor_key),
    )
    admin = MediaAdminServicer(
        reconcile_media=reconcile_media,
        list_attachments=ListAttachments(store=store, clock=clock),
        purge_media=PurgeMedia(store=store, objects=objects, clock=clock),
        set_legal_hold=SetLegalHold(store=store, clock=clock),
        cursors=CursorSigner(config.cursor_key),
    )
    return [
        Service(MEDIA, lambda to: media_service_pb2_grpc.add_MediaServiceServicer_to_server(media, to)),
        Service(ADMIN, lambda to: media_admin_service_pb2_grpc.add_MediaAdminServiceServicer_to_server(admin, to)),
    ]
