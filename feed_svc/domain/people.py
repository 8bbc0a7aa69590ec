"""People, and how they stand to one another."""

from dataclasses import dataclass
from datetime import datetime

from feed_svc.domain.posts import Photo, UserId, checked_text
from feed_svc.errors import DisplayNameInvalid, UsernameInvalid

MIN_USERNAME_LENGTH = 3
MAX_USERNAME_LENGTH = 30
MAX_DISPLAY_NAME_LENGTH = 50
MAX_FOLLOWEES = 7_500
"""How many one may follow."""
_USERNAME_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_.")


@dataclass(frozen=True, slots=True)
class User:
    """A person's profile with its counters."""

    user_id: UserId
    username: str
    display_name: str
    avatar: Photo | None
    follower_count: int
    following_count: int
    post_count: int
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Profile:
    """What of a profile stands beside a post; `version` grows with every change."""

    user_id: UserId
    username: str
    display_name: str
    avatar: Photo | None
    version: int


@dataclass(frozen=True, slots=True)
class AuthorSummary:
    """A profile as it stands beside a post, encoded once."""

    user_id: UserId
    version: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Relations:
    """How a viewer stands to others."""

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
class Edge:
    """Somebody followed or blocked, and since when."""

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


def checked_username(username: str) -> str:
    """Return the name in lower case; `UsernameInvalid` unless it is 3 to 30 of a-z, 0-9, `_` and `.`."""
    name = username.lower()
    if not MIN_USERNAME_LENGTH <= len(name) <= MAX_USERNAME_LENGTH or not _USERNAME_LETTERS.issuperset(name):
        raise UsernameInvalid(limit=MAX_USERNAME_LENGTH)
    return name


def checked_display_name(display_name: str) -> str:
    """Return the name, trimmed; `DisplayNameInvalid` unless 1 to 50 characters remain, `TextInvalid` with a NUL."""
    name = display_name.strip()
    if not 1 <= len(name) <= MAX_DISPLAY_NAME_LENGTH:
        raise DisplayNameInvalid(limit=MAX_DISPLAY_NAME_LENGTH)
    return checked_text(name, field="display_name")
