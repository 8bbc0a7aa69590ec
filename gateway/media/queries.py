"""Queries about uploads."""

from typing import Annotated

import strawberry

from gateway import ids
from gateway.context import Info
from gateway.media.types import KIND, Upload
from heliograph.media.v1.media_service_pb2 import GetUploadRequest


@strawberry.type
class MediaQueries:
    """Fields of `Query` about uploads."""

    @strawberry.field(description="An upload of the viewer; UPLOAD_NOT_FOUND when it is absent or another's.")
    async def upload(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Id of the upload.")],
    ) -> Upload | None:
        """Return an upload."""
        return await load_upload(ids.uuid(KIND, id), info)


async def load_upload(upload_id: str, info: Info) -> Upload:
    """Return an upload of the viewer; the service's `UPLOAD_NOT_FOUND` when there is none."""
    reply = await info.context.once(
        ("upload", upload_id), lambda: info.context.clients.media.GetUpload(GetUploadRequest(upload_id=upload_id))
    )
    return Upload(record=reply.upload)
