"""Posts and their photos."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import NewType

from feed_svc.errors import AltTextTooLong, CaptionTooLong, TextInvalid

UserId = NewType("UserId", int)
PostId = NewType("PostId", int)

MAX_CAPTION_LENGTH = 2_200
MAX_ALT_TEXT_LENGTH = 1_000


class DeliveryMode(IntEnum):
    """How a post reaches feeds; stamped when it is created, for ever."""

    PUSH = 1
    PULL = 2


@dataclass(frozen=True, slots=True)
class Variant:
    """One size and format of a photo; `name` completes the photo's base address."""

    name: str
    width: int
    height: int
    format: int
    size_bytes: int
    is_square: bool


@dataclass(frozen=True, slots=True)
class Photo:
    """A finished photo: where its variants are, and what stands in for it while they load."""

    bucket: str
    key_prefix: str
    variants: tuple[Variant, ...]
    blurhash: str
    dominant_colour: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Post:
    """A post; its id holds the millisecond of its creation and is its place in every list, newest first."""

    post_id: PostId
    author_id: UserId
    request_id: str
    upload_id: str
    photo: Photo
    caption: str
    alt_text: str
    delivery_mode: DeliveryMode
    policy_version: int
    follower_count: int
    """The author's followers when the post was stamped."""
    create_time: datetime
    delete_time: datetime | None = None
    fan_out_time: datetime | None = None
    """When fan-out had reached every timeline."""

    @property
    def media_reference(self) -> str:
        """What the photo was attached for: the same for every retry of the request."""
        return media_reference(self.author_id, self.request_id)


@dataclass(frozen=True, slots=True)
class Record:
    """What is the same of a post for every viewer, encoded once, without its author's profile."""

    post_id: PostId
    author_id: UserId
    body: bytes


def media_reference(author: UserId, request_id: str) -> str:
    """Return the name under which media_svc knows what shows a post's photo."""
    return f"post:{author}:{request_id}"


def checked_caption(caption: str) -> str:
    """Return the caption; `CaptionTooLong` past 2,200 characters (code points), `TextInvalid` with a NUL."""
    if len(caption) > MAX_CAPTION_LENGTH:
        raise CaptionTooLong(limit=MAX_CAPTION_LENGTH)
    return checked_text(caption, field="caption")


def checked_alt_text(alt_text: str) -> str:
    """Return the alternative text; `AltTextTooLong` past 1,000 characters, `TextInvalid` with a NUL."""
    if len(alt_text) > MAX_ALT_TEXT_LENGTH:
        raise AltTextTooLong(limit=MAX_ALT_TEXT_LENGTH)
    return checked_text(alt_text, field="alt_text")


def checked_text(text: str, *, field: str) -> str:
    """Return the text; `TextInvalid` when it holds a NUL or a lone surrogate, which Postgres can't store."""
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise TextInvalid(field=field)
    return text
