"""The rules of posts and feeds, and the values that they speak of. Pure: no client library, no waiting."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from heapq import merge
from typing import NewType

from feed_svc.errors import (
    AltTextTooLong,
    BatchTooLarge,
    CaptionTooLong,
    DisplayNameInvalid,
    PageSizeInvalid,
    RequestIdInvalid,
    TextInvalid,
    UsernameInvalid,
)

UserId = NewType("UserId", int)
PostId = NewType("PostId", int)

MAX_CAPTION_LENGTH = 2_200
MAX_ALT_TEXT_LENGTH = 1_000
MAX_REQUEST_ID_LENGTH = 64
MIN_USERNAME_LENGTH = 3
MAX_USERNAME_LENGTH = 30
MAX_DISPLAY_NAME_LENGTH = 50
DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 50
DEFAULT_EDGE_PAGE_SIZE = 1_000
MAX_EDGE_PAGE_SIZE = 10_000
FIRST_POSITION = PostId(2**63 - 1)
"""Before every post: where a feed begins."""

REFILLS = 4
"""How often a page that rules emptied is filled again before it is returned short, with a token to go on."""


class DeliveryMode(IntEnum):
    """How a post reaches feeds; stamped when it is created, for ever."""

    PUSH = 1
    PULL = 2


@dataclass(frozen=True, slots=True)
class DeliveryPolicy:
    """Which posts are pushed."""

    version: int
    pull_threshold: int

    def stamp(self, follower_count: int) -> DeliveryMode:
        """Return how a post of an author with so many followers is delivered."""
        return DeliveryMode.PULL if follower_count >= self.pull_threshold else DeliveryMode.PUSH


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
class User:
    """A person as others see them."""

    user_id: UserId
    username: str
    display_name: str
    follower_count: int
    following_count: int
    create_time: datetime


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
    create_time: datetime
    delete_time: datetime | None


@dataclass(frozen=True, slots=True)
class PostView:
    """A post as one viewer sees it now."""

    post: Post
    author: User


@dataclass(frozen=True, slots=True)
class Page:
    """Some posts, newest first, and where to go on; `next_before` is `None` at the end."""

    views: tuple[PostView, ...]
    next_before: PostId | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """Part of a pushed timeline: post ids newest first; `is_end` when nothing at all is older than these."""

    post_ids: tuple[PostId, ...]
    is_end: bool


@dataclass(frozen=True, slots=True)
class Relations:
    """What decides whether a viewer may see others' posts."""

    followed: frozenset[UserId]
    blocked: frozenset[UserId]
    """By the viewer."""
    blockers: frozenset[UserId]
    """They have blocked the viewer."""

    def hides(self, other: UserId) -> bool:
        """Whether the two are hidden from each other."""
        return other in self.blocked or other in self.blockers


@dataclass(frozen=True, slots=True)
class Relation:
    """How one person stands to another."""

    subject_id: UserId
    object_id: UserId
    object_exists: bool
    follows: bool
    is_followed_by: bool
    blocks: bool
    is_blocked_by: bool


@dataclass(frozen=True, slots=True)
class Followee:
    """Somebody followed, and since when."""

    user_id: UserId
    create_time: datetime


def as_shown_to_subject(relation: Relation) -> Relation:
    """Return what the first person may know: somebody who has blocked them does not exist."""
    if not relation.is_blocked_by:
        return relation
    return Relation(
        subject_id=relation.subject_id,
        object_id=relation.object_id,
        object_exists=False,
        follows=False,
        is_followed_by=False,
        blocks=False,
        is_blocked_by=False,
    )


def is_visible(post: Post, viewer: UserId, relations: Relations) -> bool:
    """Whether a post stands in the viewer's home feed: not deleted, of somebody followed or one's own, no block."""
    if post.delete_time is not None or relations.hides(post.author_id):
        return False
    return post.author_id == viewer or post.author_id in relations.followed


def merge_newest_first(*sources: Sequence[PostId]) -> list[PostId]:
    """Merge lists that are newest first into one, each id once."""
    return list(dict.fromkeys(merge(*sources, reverse=True)))


def in_order(post_ids: Iterable[PostId], posts: Mapping[PostId, Post]) -> list[Post]:
    """Return the posts that were found, in the order of the ids."""
    return [posts[post_id] for post_id in post_ids if post_id in posts]


def checked_page_size(page_size: int) -> int:
    """Return the page size, 0 meaning the default; `PageSizeInvalid` outside 1 to 50."""
    if page_size == 0:
        return DEFAULT_PAGE_SIZE
    if not 1 <= page_size <= MAX_PAGE_SIZE:
        raise PageSizeInvalid(max_page_size=MAX_PAGE_SIZE)
    return page_size


def checked_edge_page_size(page_size: int) -> int:
    """Return the page size of a list of edges, 0 meaning the default; `PageSizeInvalid` outside 1 to 10,000."""
    if page_size == 0:
        return DEFAULT_EDGE_PAGE_SIZE
    if not 1 <= page_size <= MAX_EDGE_PAGE_SIZE:
        raise PageSizeInvalid(max_page_size=MAX_EDGE_PAGE_SIZE)
    return page_size


def checked_batch(ids: Sequence[int], *, limit: int) -> Sequence[int]:
    """Return the ids; `BatchTooLarge` when there are none or more than `limit`."""
    if not 1 <= len(ids) <= limit:
        raise BatchTooLarge(limit=limit)
    return ids


def checked_caption(caption: str) -> str:
    """Return the caption; `CaptionTooLong` past 2,200 characters (code points), `TextInvalid` with a NUL."""
    if len(caption) > MAX_CAPTION_LENGTH:
        raise CaptionTooLong(max_length=MAX_CAPTION_LENGTH)
    return _checked_text(caption)


def checked_alt_text(alt_text: str) -> str:
    """Return the alternative text; `AltTextTooLong` past 1,000 characters, `TextInvalid` with a NUL."""
    if len(alt_text) > MAX_ALT_TEXT_LENGTH:
        raise AltTextTooLong(max_length=MAX_ALT_TEXT_LENGTH)
    return _checked_text(alt_text)


def checked_request_id(request_id: str) -> str:
    """Return the idempotency key; `RequestIdInvalid` unless it has 1 to 64 printable characters."""
    if not 1 <= len(request_id) <= MAX_REQUEST_ID_LENGTH or not request_id.isprintable():
        raise RequestIdInvalid(max_length=MAX_REQUEST_ID_LENGTH)
    return request_id


def checked_username(username: str) -> str:
    """Return the name in lower case; `UsernameInvalid` unless it is 3 to 30 of a-z, 0-9, `_` and `.`."""
    name = username.lower()
    plain = all(letter.isascii() and (letter.isalnum() or letter in "_.") for letter in name)
    if not MIN_USERNAME_LENGTH <= len(name) <= MAX_USERNAME_LENGTH or not plain:
        raise UsernameInvalid(min_length=MIN_USERNAME_LENGTH, max_length=MAX_USERNAME_LENGTH)
    return name


def checked_display_name(display_name: str) -> str:
    """Return the name, trimmed; `DisplayNameInvalid` unless 1 to 50 characters remain."""
    name = display_name.strip()
    if not 1 <= len(name) <= MAX_DISPLAY_NAME_LENGTH:
        raise DisplayNameInvalid(max_length=MAX_DISPLAY_NAME_LENGTH)
    return _checked_text(name)


def _checked_text(text: str) -> str:
    if "\0" in text:
        raise TextInvalid
    return text
