"""Mutations of uploads."""

from uuid import uuid4

import strawberry

from gateway import ids
from gateway.context import Info
from gateway.inputs import Given
from gateway.media.types import KIND, Upload, UploadForm, UploadKind, form_of
from gateway.scalars import checked_text
from heliograph.media.v1.media_service_pb2 import AbortUploadRequest, CompleteUploadRequest, CreateUploadRequest


@strawberry.input(description="What `createUpload` needs.")
class CreateUploadInput:
    """What `createUpload` needs."""

    kind: UploadKind = strawberry.field(description="What the photo is for.")
    content_type: str = strawberry.field(description="image/jpeg, image/png, image/webp, image/heic or image/avif.")
    byte_size: int = strawberry.field(description="Size of the file: 1 byte to 15 MiB.")
    idempotency_key: str | None = strawberry.field(
        description="1 to 64 printable ASCII characters, best a UUID; made here when absent.", default=None
    )


@strawberry.type(description="What `createUpload` returns.")
class CreateUploadPayload:
    """What `createUpload` returns."""

    upload: Upload = strawberry.field(description="The upload.")
    form: UploadForm | None = strawberry.field(
        description="What to post to the object store; null when a repeated call finds the upload under way already."
    )


@strawberry.input(description="What `completeUpload` needs.")
class CompleteUploadInput:
    """What `completeUpload` needs."""

    upload_id: strawberry.ID = strawberry.field(description="An upload whose bytes were posted.")


@strawberry.type(description="What `completeUpload` returns.")
class CompleteUploadPayload:
    """What `completeUpload` returns."""

    upload: Upload = strawberry.field(description="The upload, PROCESSING or further.")


@strawberry.input(description="What `abortUpload` needs.")
class AbortUploadInput:
    """What `abortUpload` needs."""

    upload_id: strawberry.ID = strawberry.field(description="A PENDING upload of the viewer.")


@strawberry.type(description="What `abortUpload` returns.")
class AbortUploadPayload:
    """What `abortUpload` returns."""

    upload: Upload = strawberry.field(description="The upload, REJECTED.")


@strawberry.type
class MediaMutations:
    """Fields of `Mutation` about uploads."""

    @strawberry.mutation(description="Permits one upload; the photo is then posted straight to the object store.")
    async def create_upload(self, info: Info, input: Given[CreateUploadInput]) -> CreateUploadPayload:
        """Create an upload."""
        request = CreateUploadRequest(
            kind=input.kind.value,
            content_type=checked_text(input.content_type),
            size_bytes=input.byte_size,
            request_id=checked_text(input.idempotency_key or str(uuid4())),
        )
        reply = await info.context.clients.media.CreateUpload(request)
        form = form_of(reply.form) if reply.HasField("form") else None
        return CreateUploadPayload(upload=Upload(record=reply.upload), form=form)

    @strawberry.mutation(description="Says that the bytes are in place; `live` tells when the photo is READY.")
    async def complete_upload(self, info: Info, input: Given[CompleteUploadInput]) -> CompleteUploadPayload:
        """Start the processing."""
        request = CompleteUploadRequest(upload_id=ids.uuid(KIND, input.upload_id))
        reply = await info.context.clients.media.CompleteUpload(request)
        return CompleteUploadPayload(upload=Upload(record=reply.upload))

    @strawberry.mutation(description="Gives a PENDING upload up.")
    async def abort_upload(self, info: Info, input: Given[AbortUploadInput]) -> AbortUploadPayload:
        """Give an upload up."""
        request = AbortUploadRequest(upload_id=ids.uuid(KIND, input.upload_id))
        reply = await info.context.clients.media.AbortUpload(request)
        return AbortUploadPayload(upload=Upload(record=reply.upload))
