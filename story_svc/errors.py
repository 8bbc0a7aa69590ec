"""What can go wrong in story_svc: leaves of `mesh.errors`. The table of reasons stands in `protos/README.md`."""

from mesh.errors import FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted


class RequestIdInvalid(InvalidArgument):
    """The idempotency key is missing, too long, or holds more than printable ASCII."""

    reason = "REQUEST_ID_INVALID"
    message = "a request id of 1 to 64 printable ASCII characters is needed"


class PageSizeInvalid(InvalidArgument):
    """The page size is outside its limits."""

    reason = "PAGE_SIZE_INVALID"
    message = "the page size is outside its limits"


class BatchTooLarge(InvalidArgument):
    """A batch names nothing, or more than its limit."""

    reason = "BATCH_TOO_LARGE"
    message = "the batch is empty or has too many members"


class LegalHoldReasonRequired(InvalidArgument):
    """A legal hold was set or lifted without saying why."""

    reason = "LEGAL_HOLD_REASON_REQUIRED"
    message = "a reason of 1 to 500 characters is needed"


class StoryNotFound(NotFound):
    """There is no such story for this viewer: it never was, it is gone, or they may not see it."""

    reason = "STORY_NOT_FOUND"
    message = "there is no such story"


class UserNotFound(NotFound):
    """There is no such person, or they have blocked the viewer."""

    reason = "USER_NOT_FOUND"
    message = "there is no such person"


class UploadNotFound(NotFound):
    """There is no such upload of the viewer."""

    reason = "UPLOAD_NOT_FOUND"
    message = "there is no such upload"


class IdempotencyKeyReused(FailedPrecondition):
    """The request id was used before, with another photo."""

    reason = "IDEMPOTENCY_KEY_REUSED"
    message = "this request id was used before with another photo; use a new one"


class StoryAlreadyPurged(FailedPrecondition):
    """The photo of the story is gone for good, so it can't be held."""

    reason = "STORY_ALREADY_PURGED"
    message = "the photo of this story was purged already"


class StoryDailyLimitReached(ResourceExhausted):
    """The author has published as many stories in 24 hours as they may; `retry_after_ms` says when one more fits."""

    reason = "STORY_DAILY_LIMIT_REACHED"
    message = "no more stories may be published today"
