"""Loops: which consumer calls which use case."""

from dataclasses import dataclass

from heliograph.events.v1 import media_events_pb2
from media_svc.domain import Refusal, RejectedReason, UploadId, parse_upload_id
from media_svc.errors import LegalHold, UploadNotFound
from media_svc.events import MEDIA
from media_svc.store import Store
from media_svc.usecases.process_upload import ProcessUpload
from media_svc.usecases.purge_media import PurgeMedia
from mesh.consumer import Consumer, DeadLetter, Done, Outcome, Retry, pause_after
from mesh.errors import HeliographError
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


@dataclass(frozen=True, slots=True)
class Workers:
    """The consumers of the service."""

    jetstream: JetStream
    store: Store
    process_upload: ProcessUpload
    purge_media: PurgeMedia
    decoders: int
    """Pictures at once."""

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
        except HeliographError as error:  # a store is away: the photo isn't at fault, so patience
            _log.warning("processing_waits", upload_id=str(upload_id), error=error.reason)
            return Retry(pause_after(received.deliveries))
        except Exception as error:
            if received.deliveries < MAX_ATTEMPTS:
                raise
            _log.exception("processing_failed", upload_id=str(upload_id), attempts=received.deliveries)
            await self._give_up(upload_id)
            return DeadLetter(repr(error))
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
