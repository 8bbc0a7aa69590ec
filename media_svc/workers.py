"""Loops: which consumer calls which use case."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from prometheus_client import Gauge

from heliograph.events.v1 import media_events_pb2
from media_svc.domain import FindingKind, Refusal, RejectedReason, UploadId, parse_upload_id
from media_svc.errors import LegalHold, UploadNotFound
from media_svc.events import MEDIA
from media_svc.store import Store
from media_svc.usecases.process_upload import ProcessUpload
from media_svc.usecases.purge_media import PurgeMedia
from media_svc.usecases.reconcile_media import ReconcileMedia
from media_svc.usecases.sweep_uploads import SweepUploads
from mesh import periodic
from mesh.consumer import Consumer, DeadLetter, Done, Outcome, Retry, pause_after
from mesh.errors import told_by
from mesh.events import subjects
from mesh.jetstream import JetStream, Received
from mesh.telemetry import get_logger

COMPLETED = media_events_pb2.UploadCompleted.DESCRIPTOR
DELETED = media_events_pb2.MediaDeleted.DESCRIPTOR

MAX_ATTEMPTS = 6
"""How often a picture is tried that fails for a cause of ours and not of a store that is away."""
PATIENCE = 10_000
"""Deliveries for which a store may be away, half a minute apart."""
ACK_WAIT_SECONDS = 20.0

_log = get_logger(__name__)
_findings = Gauge("media_reconcile_findings", "Disagreements of rows and objects in the last whole run", ["kind"])
_reconciled = Gauge("media_reconcile_last_run_seconds", "Unix time of the last whole run")


@dataclass(frozen=True, slots=True)
class Workers:
    """The consumers of the service."""

    jetstream: JetStream
    store: Store
    process_upload: ProcessUpload
    purge_media: PurgeMedia
    sweep_uploads: SweepUploads
    reconcile_media: ReconcileMedia
    decoders: int
    """Pictures at once."""

    def timers(self, *, sweep_seconds: float, reconcile_seconds: float) -> dict[str, Callable[[], Awaitable[None]]]:
        """Return every periodic loop, by name."""
        return {
            "media_sweep": periodic.every(sweep_seconds, "media_sweep", self.sweep_uploads),
            "media_reconcile": periodic.every(reconcile_seconds, "media_reconcile", self._reconcile),
        }

    def consumers(self) -> list[Consumer]:
        """Return every durable consumer with its handler."""
        return [
            Consumer(
                jetstream=self.jetstream,
                stream=str(MEDIA.name),
                durable="media-process",
                subjects=subjects(COMPLETED),
                handle=self._upload_completed,
                # One more than there are decoders: the next original is fetched while they work.
                concurrency=self.decoders + 1,
                ack_wait_seconds=ACK_WAIT_SECONDS,
                max_deliveries=PATIENCE,
            ),
            Consumer(
                jetstream=self.jetstream,
                stream=str(MEDIA.name),
                durable="media-purge",
                subjects=subjects(DELETED),
                handle=self._media_deleted,
                concurrency=4,
                ack_wait_seconds=ACK_WAIT_SECONDS,
                max_deliveries=PATIENCE,
            ),
        ]

    async def _upload_completed(self, received: Received) -> Outcome:
        fact = media_events_pb2.UploadCompleted.FromString(received.payload)
        upload_id = parse_upload_id(fact.upload_id)
        try:
            await self.process_upload(upload_id)
        except Exception as error:
            told = told_by(error)
            if told is not None:  # a store is away: the photo isn't at fault, so patience
                _log.warning("processing_waits", upload_id=str(upload_id), error=told.reason)
                return Retry(pause_after(received.deliveries))
            if received.deliveries < MAX_ATTEMPTS:
                raise
            _log.exception("processing_failed", upload_id=str(upload_id), attempts=received.deliveries)
            await self._give_up(upload_id)
            return DeadLetter(type(error).__name__)
        return Done()

    async def _give_up(self, upload_id: UploadId) -> None:
        upload = await self.store.get_upload(upload_id)
        if upload is not None:
            await self.process_upload.reject(upload, Refusal(RejectedReason.PROCESSING_FAILED, "too_many_attempts"))

    async def _media_deleted(self, received: Received) -> Outcome:
        fact = media_events_pb2.MediaDeleted.FromString(received.payload)
        try:
            await self.purge_media(parse_upload_id(fact.upload_id), reason="deleted")
        except (UploadNotFound, LegalHold) as error:  # a hold came in between: the sweep purges when it is lifted
            _log.info("purge_not_now", upload_id=fact.upload_id, why=error.reason)
        return Done()

    async def _reconcile(self) -> None:
        """Compare everything once, repair what may be, and set the figures that alarms watch."""
        async with self.store.sole_reconciliation() as is_ours:
            if not is_ours:
                return
            findings: Counter[FindingKind] = Counter()
            async for page in self.reconcile_media.run(repair=True):
                findings.update(finding.kind for finding in page.findings)
                for finding in page.findings:
                    if finding.kind is FindingKind.ROW_WITHOUT_OBJECT:
                        _log.error(
                            "photo_lost", upload_id=str(finding.upload_id), bucket=finding.bucket, key=finding.key
                        )
        for kind in FindingKind:
            _findings.labels(kind.name).set(findings[kind])
        _reconciled.set_to_current_time()
