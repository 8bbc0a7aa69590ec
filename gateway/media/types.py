"""Uploads: photos on their way in."""

from enum import Enum

import strawberry

from gateway import ids
from gateway.enums import described
from gateway.nodes import Node
from gateway.scalars import DateTime, moment
from heliograph.media.v1 import upload_pb2

KIND = "Upload"


@strawberry.enum(description="What a photo is for. It decides who may see it.")
class UploadKind(Enum):
    """What a photo is for."""

    POST = described(upload_pb2.UPLOAD_KIND_POST, "A post: public.")
    STORY = described(upload_pb2.UPLOAD_KIND_STORY, "A story: private, gone after 24 hours.")
    MESSAGE = described(upload_pb2.UPLOAD_KIND_MESSAGE, "A photo in a message: private.")
    AVATAR = described(upload_pb2.UPLOAD_KIND_AVATAR, "A profile picture: public.")


@strawberry.enum(description="Where an upload stands: PENDING, PROCESSING, then READY or REJECTED.")
class UploadStatus(Enum):
    """Where an upload stands."""

    PENDING = described(upload_pb2.UPLOAD_STATUS_PENDING, "The bytes are awaited.")
    PROCESSING = described(upload_pb2.UPLOAD_STATUS_PROCESSING, "The photo is being checked.")
    READY = described(upload_pb2.UPLOAD_STATUS_READY, "It may be used.")
    REJECTED = described(upload_pb2.UPLOAD_STATUS_REJECTED, "Refused, with a reason.")


@strawberry.enum(description="Why an upload was refused.")
class UploadRejectedReason(Enum):
    """Why an upload was refused."""

    UNSUPPORTED_FORMAT = described(1, "None of the allowed formats, or not the declared one.")
    CORRUPT = described(2, "The bytes end early or can't be decoded.")
    EMPTY = described(3, "No bytes at all.")
    TOO_LARGE = described(4, "More bytes than allowed.")
    TOO_MANY_PIXELS = described(5, "More than 40 million pixels.")
    BAD_DIMENSIONS = described(6, "A side is too short or too long, or they are too unequal.")
    MEMORY_LIMIT = described(7, "Decoding took too much memory.")
    TIME_LIMIT = described(8, "Decoding took too long.")
    EXPIRED = described(9, "The bytes didn't arrive in time.")
    ABORTED = described(10, "The owner gave it up.")
    CHECKSUM_MISMATCH = described(11, "The bytes differ from their checksums.")
    PROCESSING_FAILED = described(12, "A cause of ours; try the photo in a new upload.")


@strawberry.type(description="A photo on its way in.")
class Upload(Node):
    """An upload of the viewer."""

    record: strawberry.Private[upload_pb2.Upload]

    @strawberry.field(description="Opaque, globally unique id.")
    def id(self) -> strawberry.ID:
        """Return the id."""
        return ids.encode(KIND, self.record.upload_id)

    @strawberry.field(description="What the photo is for.")
    def kind(self) -> UploadKind:
        """Return what the photo is for."""
        return UploadKind(self.record.kind)

    @strawberry.field(description="Where it stands.")
    def status(self) -> UploadStatus:
        """Return where it stands."""
        return UploadStatus(self.record.status)

    @strawberry.field(description="Why it was rejected; null unless it was.")
    def rejected_reason(self) -> UploadRejectedReason | None:
        """Return why it was rejected."""
        return rejected_reason(self.record.rejected_reason)

    @strawberry.field(description="Content type that was declared.")
    def content_type(self) -> str:
        """Return the declared content type."""
        return self.record.content_type

    @strawberry.field(description="Size in bytes that was declared.")
    def byte_size(self) -> int:
        """Return the declared size."""
        return self.record.size_bytes

    @strawberry.field(description="When it was created.")
    def created_at(self) -> DateTime:
        """Return when it was created."""
        return moment(self.record.create_time)

    @strawberry.field(description="When the permission to send bytes ends.")
    def expires_at(self) -> DateTime:
        """Return when the permission ends."""
        return moment(self.record.expire_time)

    @strawberry.field(description="Placeholder of the finished photo; null until it is READY.")
    def blurhash(self) -> str | None:
        """Return the blurhash."""
        return self.record.photo.blurhash or None


@strawberry.type(description="A field of an upload form.")
class UploadFormField:
    """A field of an upload form."""

    name: str = strawberry.field(description="Name of the field.")
    value: str = strawberry.field(description="Value of the field, to be sent as it is.")


@strawberry.type(
    description="A signed form: POST the fields in this order, then the photo as the last field `file`, to the "
    "address, as multipart/form-data. Another type, a larger file or a late post is refused by the object store."
)
class UploadForm:
    """A signed POST policy."""

    url: str = strawberry.field(description="Address to post to.")
    fields: list[UploadFormField] = strawberry.field(description="Fields to send, in this order.")
    expires_at: DateTime = strawberry.field(description="When the form is void.")


def rejected_reason(value: int) -> UploadRejectedReason | None:
    """Return the reason; `None` for "not rejected"."""
    return UploadRejectedReason(value) if value else None


def form_of(form: upload_pb2.UploadForm) -> UploadForm:
    """Return a form as clients get it."""
    return UploadForm(
        url=form.url,
        fields=[UploadFormField(name=one.name, value=one.value) for one in form.fields],
        expires_at=moment(form.expire_time),
    )
