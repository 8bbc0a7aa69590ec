"""media_svc."""

from dm_svc import wire
from dm_svc.domain.values import Photo
from heliograph.media.v1 import media_service_pb2, media_service_pb2_grpc, upload_pb2


class Media:
    """media_svc."""

    def __init__(self, stub: "media_service_pb2_grpc.MediaServiceStub") -> None:
        self._stub = stub

    async def attach_message_photo(self, upload_id: str, *, reference: str) -> Photo:
        """Bind the viewer's READY upload to `reference`, for ever, and return its photo. Safe to repeat.

        Raises what media_svc says: UPLOAD_NOT_FOUND, UPLOAD_NOT_READY, UPLOAD_REJECTED, UPLOAD_KIND_MISMATCH,
        UPLOAD_ALREADY_ATTACHED.
        """
        reply = await self._stub.AttachUpload(
            media_service_pb2.AttachUploadRequest(
                upload_id=upload_id, purpose=upload_pb2.UPLOAD_KIND_MESSAGE, reference=reference
            )
        )
        return wire.photo_of_media(reply.media)

    async def delete_photo(self, upload_id: str, *, reference: str) -> None:
        """Remove a photo whose message was taken back. Safe to repeat."""
        await self._stub.DeleteMedia(media_service_pb2.DeleteMediaRequest(upload_id=upload_id, reference=reference))
