"""gRPC in, use case, gRPC out: no rule, no SQL, no try."""

from dataclasses import dataclass
from typing import Any

from heliograph.media.v1 import media_service_pb2, media_service_pb2_grpc, upload_pb2
from media_svc import wire
from media_svc.domain import UserId, checked_batch, checked_kind, parse_upload_id, possible_upload_id
from media_svc.usecases.attach_upload import AttachUpload
from media_svc.usecases.complete_upload import CompleteUpload
from media_svc.usecases.create_upload import CreateUpload
from media_svc.usecases.delete_media import DeleteMedia
from media_svc.usecases.get_media import GetMedia
from media_svc.usecases.get_upload import GetUpload
from mesh import auth

Context = Any
MAX_BATCH = 100


def _viewer() -> UserId:
    return UserId(auth.viewer_id())


@dataclass(frozen=True, slots=True)
class MediaServicer(media_service_pb2_grpc.MediaServiceServicer):
    """heliograph.media.v1.MediaService."""

    create_upload: CreateUpload
    complete_upload: CompleteUpload
    get_upload: GetUpload
    attach_upload: AttachUpload
    get_media: GetMedia
    delete_media: DeleteMedia

    async def CreateUpload(
        self, request: media_service_pb2.CreateUploadRequest, context: Context
    ) -> media_service_pb2.CreateUploadResponse:
        """Permit one upload by a signed form."""
        upload, form = await self.create_upload(
            _viewer(),
            kind=checked_kind(request.kind),
            content_type=request.content_type,
            size_bytes=request.size_bytes,
            request_id=request.request_id,
        )
        reply = media_service_pb2.CreateUploadResponse(upload=wire.upload(upload))
        if form is not None:
            reply.form.url = form.url
            reply.form.fields.extend(
                upload_pb2.UploadFormField(name=name, value=value) for name, value in form.fields.items()
            )
            reply.form.expire_time.FromDatetime(upload.expire_time)
        return reply

    async def CompleteUpload(
        self, request: media_service_pb2.CompleteUploadRequest, context: Context
    ) -> media_service_pb2.CompleteUploadResponse:
        """Start the processing."""
        upload = await self.complete_upload(_viewer(), parse_upload_id(request.upload_id))
        return media_service_pb2.CompleteUploadResponse(upload=wire.upload(upload))

    async def GetUpload(
        self, request: media_service_pb2.GetUploadRequest, context: Context
    ) -> media_service_pb2.GetUploadResponse:
        """Return an upload of the viewer."""
        upload = await self.get_upload(_viewer(), parse_upload_id(request.upload_id))
        return media_service_pb2.GetUploadResponse(upload=wire.upload(upload))

    async def AttachUpload(
        self, request: media_service_pb2.AttachUploadRequest, context: Context
    ) -> media_service_pb2.AttachUploadResponse:
        """Bind a photo to what shows it."""
        upload, photo = await self.attach_upload(
            _viewer(),
            parse_upload_id(request.upload_id),
            purpose=checked_kind(request.purpose),
            reference=request.reference,
        )
        return media_service_pb2.AttachUploadResponse(media=wire.media(upload, photo))

    async def BatchGetMedia(
        self, request: media_service_pb2.BatchGetMediaRequest, context: Context
    ) -> media_service_pb2.BatchGetMediaResponse:
        """Look photos up."""
        texts = checked_batch(request.upload_ids, limit=MAX_BATCH)
        asked = {text: upload_id for text in texts if (upload_id := possible_upload_id(text)) is not None}
        found = await self.get_media(asked.values())
        photos = {text: found[upload_id] for text, upload_id in asked.items() if upload_id in found}
        return media_service_pb2.BatchGetMediaResponse(
            results=[
                media_service_pb2.MediaLookup(
                    upload_id=text,
                    found=text in photos,
                    media=wire.media(*photos[text]) if text in photos else None,
                )
                for text in texts
            ]
        )

    async def DeleteMedia(
        self, request: media_service_pb2.DeleteMediaRequest, context: Context
    ) -> media_service_pb2.DeleteMediaResponse:
        """Mark a photo as deleted."""
        delete_time = await self.delete_media(parse_upload_id(request.upload_id), reference=request.reference)
        return media_service_pb2.DeleteMediaResponse(delete_time=wire.timestamp(delete_time))
