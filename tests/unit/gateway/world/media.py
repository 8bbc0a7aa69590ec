"""media_svc, as its protos promise."""

from datetime import timedelta
from typing import Any

from heliograph.media.v1 import media_service_pb2, upload_pb2
from mesh import auth
from mesh.errors import FailedPrecondition, InvalidArgument, NotFound
from tests.unit.gateway.world.records import START, Records, error


class MediaWorld(Records):
    """Its RPCs."""

    def _own_upload(self, upload_id: str) -> upload_pb2.Upload:
        upload = self.uploads.get(upload_id)
        if upload is None or upload.owner_id != auth.viewer_id():
            raise error(NotFound, "UPLOAD_NOT_FOUND")
        if upload.status != upload_pb2.UPLOAD_STATUS_READY:
            raise error(FailedPrecondition, "UPLOAD_NOT_READY")
        return upload

    def CreateUpload(self, request: media_service_pb2.CreateUploadRequest) -> Any:
        if request.size_bytes > 15 * 1024 * 1024:
            raise error(InvalidArgument, "UPLOAD_TOO_LARGE")
        upload_id = f"00000000-0000-4000-8000-{len(self.uploads):012}"
        upload = self.upload(upload_id, auth.viewer_id(), request.kind)
        upload.status = upload_pb2.UPLOAD_STATUS_PENDING
        form = upload_pb2.UploadForm(
            url="http://store.example/heliograph-incoming/",
            fields=[upload_pb2.UploadFormField(name="key", value=f"incoming/{upload_id}")],
        )
        form.expire_time.FromDatetime(START + timedelta(minutes=5))
        return media_service_pb2.CreateUploadResponse(upload=upload, form=form)

    def GetUpload(self, request: media_service_pb2.GetUploadRequest) -> Any:
        upload = self.uploads.get(request.upload_id)
        if upload is None or upload.owner_id != auth.viewer_id():
            raise error(NotFound, "UPLOAD_NOT_FOUND")
        return media_service_pb2.GetUploadResponse(upload=upload)

    def CompleteUpload(self, request: media_service_pb2.CompleteUploadRequest) -> Any:
        upload = self.GetUpload(media_service_pb2.GetUploadRequest(upload_id=request.upload_id)).upload
        self.uploads[request.upload_id].status = upload_pb2.UPLOAD_STATUS_READY
        upload.status = upload_pb2.UPLOAD_STATUS_PROCESSING
        return media_service_pb2.CompleteUploadResponse(upload=upload)

    def AbortUpload(self, request: media_service_pb2.AbortUploadRequest) -> Any:
        upload = self.GetUpload(media_service_pb2.GetUploadRequest(upload_id=request.upload_id)).upload
        upload.status = upload_pb2.UPLOAD_STATUS_REJECTED
        upload.rejected_reason = upload_pb2.UPLOAD_REJECTED_REASON_ABORTED
        return media_service_pb2.AbortUploadResponse(upload=upload)
