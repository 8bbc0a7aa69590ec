"""JetStream: the stream that media_svc owns, its events, and its live notices.

| stream | subjects | kept | heard by |
| --- | --- | --- | --- |
| MEDIA | `media.completed.*` | until handled | media_svc (processing) |
| MEDIA | `media.deleted.*` | until handled | media_svc (purge) |
| none | `live.<user>` | not at all | gateway |
"""

from datetime import datetime

from nats.js.api import RetentionPolicy, StorageType, StreamConfig

from heliograph.events.v1 import live_events_pb2, media_events_pb2
from media_svc import wire
from media_svc.domain import Upload, UploadId
from mesh.events import Event, event
from mesh.jetstream import JetStream

MEDIA = StreamConfig(
    name="MEDIA",
    subjects=["media.>"],
    storage=StorageType.FILE,
    retention=RetentionPolicy.WORK_QUEUE,
)
STREAMS = (MEDIA,)


def upload_completed(upload: Upload, *, complete_time: datetime) -> Event:
    """Say that bytes wait to be processed."""
    return event(
        media_events_pb2.UploadCompleted(
            upload_id=str(upload.upload_id),
            owner_id=upload.owner_id,
            kind=int(upload.kind),  # type: ignore[arg-type]  # the numbers are the proto's
            complete_time=wire.timestamp(complete_time),
        )
    )


def media_deleted(upload_id: UploadId, *, delete_time: datetime) -> Event:
    """Say that a photo's objects are to be removed."""
    return event(media_events_pb2.MediaDeleted(upload_id=str(upload_id), delete_time=wire.timestamp(delete_time)))


class Notices:
    """Tells owners' open apps how their uploads fare; best effort."""

    def __init__(self, jetstream: JetStream) -> None:
        self._jetstream = jetstream

    async def status_changed(self, upload: Upload) -> None:
        """Tell the status that an upload has now."""
        notice = event(
            live_events_pb2.LiveEvent(
                user_id=upload.owner_id,
                upload_status_changed=live_events_pb2.LiveEvent.UploadStatusChanged(
                    upload_id=str(upload.upload_id),
                    status=int(upload.status),  # type: ignore[arg-type]  # the numbers are the proto's
                    rejected_reason=int(upload.rejected_reason),  # type: ignore[arg-type]
                ),
            )
        )
        await self._jetstream.tell(notice.subject, notice.payload)
