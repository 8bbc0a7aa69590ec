"""gRPC in, use case, gRPC out: no rule, no SQL, no try."""

from dataclasses import dataclass
from datetime import UTC
from typing import Any

from heliograph.media.v1 import (
    media_admin_service_pb2,
    media_admin_service_pb2_grpc,
    media_service_pb2,
    media_service_pb2_grpc,
    upload_pb2,
)
from media_svc import wire
from media_svc.domain import (
    DeclaredPart,
    UserId,
    checked_batch,
    checked_kind,
    checked_page_size,
    checked_reference,
    parse_upload_id,
    possible_upload_id,
)
from media_svc.usecases.abort_upload import AbortUpload
from media_svc.usecases.attach_upload import AttachUpload
from media_svc.usecases.complete_upload import CompleteUpload
from media_svc.usecases.create_upload import CreateUpload
from media_svc.usecases.delete_media import DeleteMedia
from media_svc.usecases.get_media import GetMedia
from media_svc.usecases.get_upload import GetUpload
from media_svc.usecases.legal_hold import SetLegalHold
from media_svc.usecases.list_attachments import ListAttachments
from media_svc.usecases.purge_media import PurgeMedia
from media_svc.usecases.reconcile_media import START, Position, ReconcileMedia, Stage
from media_svc.usecases.resumable_upload import CreateResumableUpload, ListUploadParts, SignUploadParts
from mesh import auth
from mesh.clock import from_us, to_us
from mesh.cursor import CursorSigner

Context = Any
MAX_BATCH = 100
DEFAULT_RECONCILE_PAGE = 1_000
MAX_RECONCILE_PAGE = 10_000
DEFAULT_ATTACHMENTS = 100
MAX_ATTACHMENTS = 1_000


def _viewer() -> UserId:
    return UserId(auth.viewer_id())


@dataclass(frozen=True, slots=True)
class MediaServicer(media_service_pb2_grpc.MediaServiceServicer):
    """heliograph.media.v1.MediaService."""

    create_upload: CreateUpload
    create_resumable_upload: CreateResumableUpload
    sign_upload_parts: SignUploadParts
    list_upload_parts: ListUploadParts
    complete_upload: CompleteUpload
    abort_upload: AbortUpload
    get_upload: GetUpload
    attach_upload: AttachUpload
    get_media: GetMedia
    delete_media: DeleteMedia
    cursors: CursorSigner

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

    async def CreateResumableUpload(
        self, request: media_service_pb2.CreateResumableUploadRequest, context: Context
    ) -> media_service_pb2.CreateResumableUploadResponse:
        """Begin an upload in parts."""
        upload = await self.create_resumable_upload(
            _viewer(),
            kind=checked_kind(request.kind),
            content_type=request.content_type,
            size_bytes=request.size_bytes,
            request_id=request.request_id,
        )
        return media_service_pb2.CreateResumableUploadResponse(
            upload=wire.upload(upload), part_size_bytes=upload.part_size_bytes, part_count=upload.part_count
        )

    async def SignUploadParts(
        self, request: media_service_pb2.SignUploadPartsRequest, context: Context
    ) -> media_service_pb2.SignUploadPartsResponse:
        """Sign addresses for parts."""
        wanted = checked_batch(request.parts, limit=MAX_BATCH)
        parts = [DeclaredPart(part.part_number, part.sha256) for part in wanted]
        signed, expire_time = await self.sign_upload_parts(_viewer(), parse_upload_id(request.upload_id), parts)
        return media_service_pb2.SignUploadPartsResponse(
            parts=[
                media_service_pb2.SignedPart(
                    part_number=part.number,
                    url=put.url,
                    headers=[upload_pb2.UploadFormField(name=name, value=put.headers[name]) for name in put.headers],
                    expire_time=wire.timestamp(expire_time),
                )
                for part, put in zip(parts, signed, strict=True)
            ]
        )

    async def ListUploadParts(
        self, request: media_service_pb2.ListUploadPartsRequest, context: Context
    ) -> media_service_pb2.ListUploadPartsResponse:
        """List the parts that have arrived."""
        owner = _viewer()
        size = checked_page_size(request.page_size, default=MAX_BATCH, limit=MAX_BATCH)
        scope = f"parts:{owner}:{request.upload_id}"
        after = self.cursors.decode_ints(scope, request.page_token, 1)[0] if request.page_token else 0
        arrived = await self.list_upload_parts(owner, parse_upload_id(request.upload_id))
        rest = [part for part in arrived if part.number > after]
        page = rest[:size]
        return media_service_pb2.ListUploadPartsResponse(
            parts=[wire.upload_part(part) for part in page],
            next_page_token=self.cursors.encode(scope, page[-1].number) if len(rest) > size else "",
        )

    async def AbortUpload(
        self, request: media_service_pb2.AbortUploadRequest, context: Context
    ) -> media_service_pb2.AbortUploadResponse:
        """Give an upload up."""
        upload = await self.abort_upload(_viewer(), parse_upload_id(request.upload_id))
        return media_service_pb2.AbortUploadResponse(upload=wire.upload(upload))

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


@dataclass(frozen=True, slots=True)
class MediaAdminServicer(media_admin_service_pb2_grpc.MediaAdminServiceServicer):
    """heliograph.media.v1.MediaAdminService."""

    reconcile_media: ReconcileMedia
    list_attachments: ListAttachments
    purge_media: PurgeMedia
    set_legal_hold: SetLegalHold
    cursors: CursorSigner

    async def ReconcileMedia(
        self, request: media_admin_service_pb2.ReconcileMediaRequest, context: Context
    ) -> media_admin_service_pb2.ReconcileMediaResponse:
        """Compare one page of rows and objects."""
        limit = checked_page_size(request.page_size, default=DEFAULT_RECONCILE_PAGE, limit=MAX_RECONCILE_PAGE)
        position = START
        if request.page_token:
            stage, after = self.cursors.decode("reconcile", request.page_token, (int, str))
            position = Position(Stage(int(stage)), str(after))
        page = await self.reconcile_media(position, limit=limit, repair=request.repair)
        following = self.cursors.encode("reconcile", int(page.next.stage), page.next.after) if page.next else ""
        return media_admin_service_pb2.ReconcileMediaResponse(
            object_count=page.object_count,
            row_count=page.row_count,
            findings=[wire.finding(finding) for finding in page.findings],
            repaired_count=sum(finding.is_repaired for finding in page.findings),
            next_page_token=following,
        )

    async def ListAttachments(
        self, request: media_admin_service_pb2.ListAttachmentsRequest, context: Context
    ) -> media_admin_service_pb2.ListAttachmentsResponse:
        """List attachments of one kind."""
        kind = checked_kind(request.kind)
        size = checked_page_size(request.page_size, default=DEFAULT_ATTACHMENTS, limit=MAX_ATTACHMENTS)
        scope = f"attachments:{int(kind)}"
        after = None
        if request.page_token:
            moment, upload_id = self.cursors.decode(scope, request.page_token, (int, str))
            after = (from_us(int(moment)), parse_upload_id(str(upload_id)))
        is_bounded = request.HasField("attached_before_time")
        found = await self.list_attachments(
            kind,
            attached_before=request.attached_before_time.ToDatetime(UTC) if is_bounded else None,
            after=after,
            limit=size + 1,
        )
        page = found[:size]
        reply = media_admin_service_pb2.ListAttachmentsResponse(attachments=[wire.attachment(one) for one in page])
        if len(found) > size:
            reply.next_page_token = self.cursors.encode(scope, to_us(page[-1].attach_time), str(page[-1].upload_id))
        return reply

    async def PurgeMedia(
        self, request: media_admin_service_pb2.PurgeMediaRequest, context: Context
    ) -> media_admin_service_pb2.PurgeMediaResponse:
        """Remove a photo's objects."""
        purged = await self.purge_media(parse_upload_id(request.upload_id), reason=checked_reference(request.reason))
        return media_admin_service_pb2.PurgeMediaResponse(
            objects_removed=purged.objects_removed, purge_time=wire.timestamp(purged.purge_time)
        )

    async def SetMediaLegalHold(
        self, request: media_admin_service_pb2.SetMediaLegalHoldRequest, context: Context
    ) -> media_admin_service_pb2.SetMediaLegalHoldResponse:
        """Hold a photo, or lift the hold."""
        change_time = await self.set_legal_hold(
            parse_upload_id(request.upload_id), is_held=request.is_held, reason=request.reason
        )
        return media_admin_service_pb2.SetMediaLegalHoldResponse(
            is_held=request.is_held, change_time=wire.timestamp(change_time)
        )
