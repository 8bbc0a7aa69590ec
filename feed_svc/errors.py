"""What can go wrong in feed_svc: leaves of `mesh.errors`. The table of reasons stands in `protos/README.md`."""

from mesh.errors import Aborted, AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted


class CaptionTooLong(InvalidArgument):
    """A caption has more than 2,200 characters."""

    reason = "CAPTION_TOO_LONG"
    message = "the caption is too long"


class AltTextTooLong(InvalidArgument):
    """An alternative text has more than 1,000 characters."""

    reason = "ALT_TEXT_TOO_LONG"
    message = "the alternative text is too long"


class TextInvalid(InvalidArgument):
    """A text holds a NUL or a lone surrogate."""

    reason = "TEXT_INVALID"
    message = "the text holds a character that is not allowed"


class RequestIdInvalid(InvalidArgument):
    """The idempotency key is missing, too long or not printable."""

    reason = "REQUEST_ID_INVALID"
    message = "a request id of 1 to 64 printable ASCII characters is needed"


class PageSizeInvalid(InvalidArgument):
    """The page size is outside its limits."""

    reason = "PAGE_SIZE_INVALID"
    message = "the page size is outside its limits"


class UsernameInvalid(InvalidArgument):
    """The username has a character or length that is not allowed."""

    reason = "USERNAME_INVALID"
    message = "a username has 3 to 30 of a-z, 0-9, _ and ."


class DisplayNameInvalid(InvalidArgument):
    """The display name is empty or too long."""

    reason = "DISPLAY_NAME_INVALID"
    message = "a display name has 1 to 50 characters"


class UsernameTaken(AlreadyExists):
    """Somebody else bears this username."""

    reason = "USERNAME_TAKEN"
    message = "somebody else bears this username"


class UserNotFound(NotFound):
    """There is no such person, or a block hides them."""

    reason = "USER_NOT_FOUND"
    message = "there is no such person"


class PostNotFound(NotFound):
    """There is no such post, it was deleted, or a block hides it."""

    reason = "POST_NOT_FOUND"
    message = "there is no such post"


class CannotFollowSelf(InvalidArgument):
    """A person tried to follow themselves."""

    reason = "CANNOT_FOLLOW_SELF"
    message = "nobody can follow themselves"


class CannotBlockSelf(InvalidArgument):
    """A person tried to block themselves."""

    reason = "CANNOT_BLOCK_SELF"
    message = "nobody can block themselves"


class UserBlocked(FailedPrecondition):
    """The viewer has blocked this person."""

    reason = "USER_BLOCKED"
    message = "you have blocked this person; lift the block first"


class BatchTooLarge(InvalidArgument):
    """A batch is empty, or has more entries than one call may ask for."""

    reason = "BATCH_TOO_LARGE"
    message = "a batch must have at least one entry and not more than the limit"


class IdempotencyKeyReused(FailedPrecondition):
    """The request id was used before, with another content."""

    reason = "IDEMPOTENCY_KEY_REUSED"
    message = "this request id was used before with another content; use a new one"


class FollowLimitReached(ResourceExhausted):
    """The viewer follows as many people as one may."""

    reason = "FOLLOW_LIMIT_REACHED"
    message = "you follow as many people as one may; unfollow somebody first"


class PolicyNotFound(NotFound):
    """There is no such version of the delivery policy."""

    reason = "POLICY_NOT_FOUND"
    message = "there is no such version of the delivery policy"


class PolicyInvalid(InvalidArgument):
    """A value of the delivery policy is outside its limits; `field` and `limit` say which."""

    reason = "POLICY_INVALID"
    message = "a value of the delivery policy is outside its limits"


class PolicyVersionConflict(Aborted):
    """Somebody set another version meanwhile; `version` is the newest."""

    reason = "POLICY_VERSION_CONFLICT"
    message = "somebody set another version meanwhile; read it and decide anew"


class DeadLetterNotFound(NotFound):
    """There is no such dead letter."""

    reason = "DEAD_LETTER_NOT_FOUND"
    message = "there is no such dead letter"


class UserIdInvalid(InvalidArgument):
    """A user id below 1."""

    message = "a user id is 1 or more"
