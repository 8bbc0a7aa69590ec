"""The other services, seen from here: domain values in and out."""

from feed_svc import wire
from feed_svc.domain import Photo
from heliograph.media.v1 import media_service_pb2, media_service_pb2_grpc, upload_pb2
from mesh.errors import FailedPrecondition, NotFound
from mesh.telemetry import get_logger

_log = get_logger(__name__)


class Media:
    """media_svc."""

    def __init__(self, stub: media_service_pb2_grpc.MediaServiceStub) -> None:
        self._stub = stub

    async def attach(self, upload_id: str, *, reference: str, is_avatar: bool = False) -> Photo:
        """Bind the viewer's READY upload to `reference`, for ever, and return its photo. Safe to repeat.

        Raises what media_svc says: UPLOAD_NOT_FOUND, UPLOAD_NOT_READY, UPLOAD_REJECTED, UPLOAD_KIND_MISMATCH,
        UPLOAD_ALREADY_ATTACHED.
        """
        purpose = upload_pb2.UPLOAD_KIND_AVATAR if is_avatar else upload_pb2.UPLOAD_KIND_POST
        reply = await self._stub.AttachUpload(
            media_service_pb2.AttachUploadRequest(upload_id=upload_id, purpose=purpose, reference=reference)
        )
        return wire.photo_of_media(reply.media)

    async def delete(self, upload_id: str, *, reference: str) -> None:
        """Have a photo removed. Safe to repeat; one that is gone, or held by law, is left as it is."""
        try:
            await self._stub.DeleteMedia(media_service_pb2.DeleteMediaRequest(upload_id=upload_id, reference=reference))
        except (NotFound, FailedPrecondition) as error:
            _log.warning("photo_not_deleted", reason=error.reason)
