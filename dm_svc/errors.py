"""What can go wrong in dm_svc: leaves of `mesh.errors`. The table of reasons stands in `protos/README.md`."""

from mesh.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    ResourceExhausted,
    Unavailable,
)


class RecipientNotFound(NotFound):
    """There is no such person, or a block stands between the two: they look the same."""

    reason = "RECIPIENT_NOT_FOUND"
    message = "there is no such person"


class CannotMessageSelf(InvalidArgument):
    """The recipient is the sender."""

    reason = "CANNOT_MESSAGE_SELF"
    message = "a message needs somebody else to read it"


class MessageEmpty(InvalidArgument):
    """The message has neither text nor photo."""

    reason = "MESSAGE_EMPTY"
    message = "the message needs a text or a photo"


class MessageTooLong(InvalidArgument):
    """The text has more than 10,000 characters."""

    reason = "MESSAGE_TOO_LONG"
    message = "the message is too long"


class TextInvalid(InvalidArgument):
    """A text holds a character that is not allowed."""

    reason = "TEXT_INVALID"
    message = "the text holds a character that is not allowed"


class ClientMessageIdInvalid(InvalidArgument):
    """The idempotency key is missing, too long, or not printable ASCII."""

    reason = "CLIENT_MESSAGE_ID_INVALID"
    message = "a client message id of 1 to 64 printable ASCII characters is needed"


class IdempotencyKeyReused(FailedPrecondition):
    """The sender used the key for another message."""

    reason = "IDEMPOTENCY_KEY_REUSED"
    message = "this key was used for another message; take a new one"


class MessagesNotAccepted(FailedPrecondition):
    """The recipient's choice keeps messages of this sender out."""

    reason = "MESSAGES_NOT_ACCEPTED"
    message = "this person does not accept messages from you"


class MessageRequestLimitReached(ResourceExhausted):
    """A request that isn't accepted holds as many messages as it may."""

    reason = "MESSAGE_REQUEST_LIMIT_REACHED"
    message = "wait until this person accepts your message request"


class ConversationNotFound(NotFound):
    """There is no such conversation of the viewer."""

    reason = "CONVERSATION_NOT_FOUND"
    message = "there is no such conversation"


class MessageNotFound(NotFound):
    """There is no such message in a conversation of the viewer."""

    reason = "MESSAGE_NOT_FOUND"
    message = "there is no such message"


class MessageNotYours(PermissionDenied):
    """The viewer may read the message, but did not write it."""

    reason = "MESSAGE_NOT_YOURS"
    message = "only its sender can take a message back"


class NotAMessageRequest(FailedPrecondition):
    """The conversation is not a request that awaits the viewer's decision."""

    reason = "NOT_A_MESSAGE_REQUEST"
    message = "this conversation is not a message request to you"


class NumberOutOfRange(OutOfRange):
    """The number is beyond the conversation's last one, or below 1."""

    reason = "NUMBER_OUT_OF_RANGE"
    message = "there is no message of this number"


class MessageSettingsInvalid(InvalidArgument):
    """A choice is missing."""

    reason = "MESSAGE_SETTINGS_INVALID"
    message = "every choice must be given"


class PageSizeInvalid(InvalidArgument):
    """The page size is outside its limits."""

    reason = "PAGE_SIZE_INVALID"
    message = "the page size is outside its limits"


class BatchTooLarge(InvalidArgument):
    """A batch is empty, or has more items than one call may ask for."""

    reason = "BATCH_TOO_LARGE"
    message = "the batch is outside its limits"


class DeadLetterNotFound(NotFound):
    """There is no such dead letter."""

    reason = "DEAD_LETTER_NOT_FOUND"
    message = "there is no such dead letter"


class RateLimited(ResourceExhausted):
    """The viewer does this too often; `retry_after_ms` says when to come back."""

    reason = "RATE_LIMITED"
    message = "too often; wait a moment"


class CatchingUp(Unavailable):
    """What was acknowledged is not in the tables yet, so a read would miss it."""

    reason = "MESSAGES_CATCHING_UP"
    message = "the newest messages are being written; retry soon"
