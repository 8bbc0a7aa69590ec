"""What can go wrong in media_svc: leaves of `mesh.errors`. The table of reasons stands in `protos/README.md`."""

from mesh.errors import FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted


class UploadNotFound(NotFound):
    """There is no such upload, it was deleted, or it is somebody else's."""

    reason = "UPLOAD_NOT_FOUND"
    message = "there is no such upload"


class UploadKindInvalid(InvalidArgument):
    """The kind is missing or unknown."""

    reason = "UPLOAD_KIND_INVALID"
    message = "say what the photo is for"


class UploadKindMismatch(FailedPrecondition):
    """It was uploaded for something else."""

    reason = "UPLOAD_KIND_MISMATCH"
    message = "the photo was uploaded for something else"


class ContentTypeNotAllowed(InvalidArgument):
    """The content type isn't one of a photo that we take."""

    reason = "CONTENT_TYPE_NOT_ALLOWED"
    message = "a photo is JPEG, PNG, WebP, HEIC or AVIF"


class UploadEmpty(InvalidArgument):
    """The declared size is below one byte."""

    reason = "UPLOAD_EMPTY"
    message = "the file is empty"


class UploadTooLarge(InvalidArgument):
    """The declared size is above the limit."""

    reason = "UPLOAD_TOO_LARGE"
    message = "the file is too large"


class UploadQuotaExceeded(ResourceExhausted):
    """The person has uploaded as much as they may for now."""

    reason = "UPLOAD_QUOTA_EXCEEDED"
    message = "too many uploads; try again later"


class UploadBytesMissing(FailedPrecondition):
    """It was completed before its bytes arrived."""

    reason = "UPLOAD_BYTES_MISSING"
    message = "the bytes have not arrived yet; send them, then complete"


class UploadPartsMissing(FailedPrecondition):
    """It was completed before all of its parts arrived."""

    reason = "UPLOAD_PARTS_MISSING"
    message = "parts have not arrived yet; send them, then complete"


class UploadChecksumMismatch(FailedPrecondition):
    """A part differs from the checksum that was declared for it."""

    reason = "UPLOAD_CHECKSUM_MISMATCH"
    message = "a part differs from its checksum; send it again, then complete"


class UploadExpired(FailedPrecondition):
    """The time to send bytes is over."""

    reason = "UPLOAD_EXPIRED"
    message = "the time to upload is over; begin a new upload"


class UploadNotResumable(FailedPrecondition):
    """The upload has a form, not parts."""

    reason = "UPLOAD_NOT_RESUMABLE"
    message = "this upload has a form, not parts"


class UploadAlreadyComplete(FailedPrecondition):
    """It is too late for parts or for giving up."""

    reason = "UPLOAD_ALREADY_COMPLETE"
    message = "the upload is complete already"


class PartInvalid(InvalidArgument):
    """A part's number or checksum can't be right."""

    reason = "PART_INVALID"
    message = "a part's number or checksum is not valid"


class UploadNotReady(FailedPrecondition):
    """The photo is not checked yet."""

    reason = "UPLOAD_NOT_READY"
    message = "the photo is not ready yet"


class UploadRejected(FailedPrecondition):
    """The photo was refused."""

    reason = "UPLOAD_REJECTED"
    message = "the photo was refused"


class UploadAlreadyAttached(FailedPrecondition):
    """The photo shows in something else already."""

    reason = "UPLOAD_ALREADY_ATTACHED"
    message = "the photo is used already; upload it again"


class UploadReferenceMismatch(FailedPrecondition):
    """The photo was attached under another reference."""

    reason = "UPLOAD_REFERENCE_MISMATCH"
    message = "the photo belongs to something else"


class LegalHold(FailedPrecondition):
    """The photo must be kept."""

    reason = "LEGAL_HOLD"
    message = "the photo is under legal hold"


class LegalHoldReasonRequired(InvalidArgument):
    """A hold, or its lifting, needs a reason that fits."""

    reason = "LEGAL_HOLD_REASON_REQUIRED"
    message = "a reason of 1 to 500 characters is needed"


class IdempotencyKeyReused(FailedPrecondition):
    """The request id was used before, with another content."""

    reason = "IDEMPOTENCY_KEY_REUSED"
    message = "this request id was used before with another content; use a new one"


class RequestIdInvalid(InvalidArgument):
    """The idempotency key is missing or too long."""

    reason = "REQUEST_ID_INVALID"
    message = "a request id of 1 to 64 printable ASCII characters is needed"


class PageSizeInvalid(InvalidArgument):
    """The page size is outside its limits."""

    reason = "PAGE_SIZE_INVALID"
    message = "the page size is outside its limits"


class BatchTooLarge(InvalidArgument):
    """A batch has no entries, or too many."""

    reason = "BATCH_TOO_LARGE"
    message = "the batch has no entries, or too many"


class ReferenceInvalid(InvalidArgument):
    """The reference or reason given by another service is missing or too long."""

    message = "a text of 1 to 200 characters is needed"
