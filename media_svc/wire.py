"""Between the domain and protobuf, pure."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from heliograph.media.v1 import media_admin_service_pb2, media_pb2, upload_pb2
from media_svc.domain import ArrivedPart, Attachment, Finding, Photo, Upload, UploadStatus, Variant


def timestamp(moment: datetime) -> Timestamp:
    """Return a moment."""
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def upload(found: Upload) -> upload_pb2.Upload:
    """Return an upload as its owner sees it."""
    is_ready = found.status is UploadStatus.READY and found.photo is not None
    return upload_pb2.Upload(
        upload_id=str(found.upload_id),
        owner_id=found.owner_id,
        kind=int(found.kind),  # type: ignore[arg-type]  # the numbers are the proto's
        status=int(found.status),  # type: ignore[arg-type]
        rejected_reason=int(found.rejected_reason),  # type: ignore[arg-type]
        rejected_detail=found.rejected_detail,
        content_type=found.content_type,
        size_bytes=found.size_bytes,
        create_time=timestamp(found.create_time),
        expire_time=timestamp(found.expire_time),
        photo=_photo_without_urls(found.photo) if is_ready and found.photo else None,
        method=int(found.method),  # type: ignore[arg-type]
    )


def upload_part(part: ArrivedPart) -> upload_pb2.UploadPart:
    """Return a part that has arrived."""
    return upload_pb2.UploadPart(
        part_number=part.number, size_bytes=part.size_bytes, etag=part.etag, sha256=part.sha256
    )


def media(found: Upload, photo: Photo) -> media_pb2.Media:
    """Return a READY upload as services keep it."""
    picture = photo.picture
    return media_pb2.Media(
        upload_id=str(found.upload_id),
        owner_id=found.owner_id,
        bucket=photo.bucket,
        key_prefix=photo.key_prefix,
        variants=[_variant(one, url=one.name) for one in picture.variants],
        blurhash=picture.blurhash,
        dominant_colour=picture.dominant_colour,
        width=picture.width,
        height=picture.height,
        original_sha256=found.original_sha256 or b"",
        ready_time=timestamp(found.finish_time) if found.finish_time else None,
    )


def finding(found: Finding) -> media_admin_service_pb2.MediaFinding:
    """Return a disagreement of rows and objects."""
    return media_admin_service_pb2.MediaFinding(
        kind=int(found.kind),  # type: ignore[arg-type]  # the numbers are the proto's
        bucket=found.bucket,
        key=found.key,
        upload_id=str(found.upload_id) if found.upload_id else "",
        size_bytes=found.size_bytes,
        modify_time=timestamp(found.modify_time),
        is_repaired=found.is_repaired,
    )


def attachment(found: Attachment) -> media_admin_service_pb2.Attachment:
    """Return an upload and what shows it."""
    return media_admin_service_pb2.Attachment(
        upload_id=str(found.upload_id),
        owner_id=found.owner_id,
        reference=found.reference,
        attach_time=timestamp(found.attach_time),
    )


def _photo_without_urls(photo: Photo) -> media_pb2.Photo:
    picture = photo.picture
    return media_pb2.Photo(
        variants=[_variant(one, url="") for one in picture.variants],
        blurhash=picture.blurhash,
        dominant_colour=picture.dominant_colour,
        width=picture.width,
        height=picture.height,
    )


def _variant(one: Variant, *, url: str) -> media_pb2.PhotoVariant:
    return media_pb2.PhotoVariant(
        url=url,
        width=one.width,
        height=one.height,
        format=int(one.format),  # type: ignore[arg-type]
        size_bytes=one.size_bytes,
        is_square=one.is_square,
    )
