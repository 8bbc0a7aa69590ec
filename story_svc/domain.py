"""The rules of stories, and the values that they speak of. Pure: no client library, no waiting."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import NamedTuple, NewType
from uuid import UUID

from story_svc.errors import (
    BatchTooLarge,
    LegalHoldReasonRequired,
    PageSizeInvalid,
    RequestIdInvalid,
    UploadNotFound,
)

UserId = NewType("UserId", int)
StoryId = NewType("StoryId", int)


class StoryState(IntEnum):
    """Where a story stands; the numbers are those of the proto and of the table."""

    LIVE = 1
    EXPIRED = 2
    DELETED = 3
    PURGED = 4


class Mover(StrEnum):
    """Who moves a story from one state to the next."""

    SCHEDULE = "the worker that a scheduled message woke, with the sweeper as its net"
    AUTHOR = "its author, by DeleteStory"
    PURGE = "the purge loop, unless the story is under legal hold"


@dataclass(frozen=True, slots=True)
class Step:
    """One way from a state to the next: how long after which moment it is due, and who takes it."""

    source: StoryState
    target: StoryState
    after: timedelta | None
    """`None`: whenever the mover wishes."""
    counted_from: str | None
    """Field of `StoryRecord` that holds the moment."""
    mover: Mover


LIFECYCLE = (
    Step(StoryState.LIVE, StoryState.EXPIRED, timedelta(hours=24), "create_time", Mover.SCHEDULE),
    Step(StoryState.LIVE, StoryState.DELETED, None, None, Mover.AUTHOR),
    Step(StoryState.EXPIRED, StoryState.PURGED, timedelta(days=7), "expire_time", Mover.PURGE),
    Step(StoryState.DELETED, StoryState.PURGED, timedelta(days=7), "delete_time", Mover.PURGE),
)
"""The whole life of a story. Nothing else in the service names these delays; there is no step out of PURGED and none
back to LIVE."""


def step(source: StoryState, target: StoryState) -> Step:
    """Return the step between two states; `ValueError` when the lifecycle has none."""
    for one in LIFECYCLE:
        if (one.source, one.target) == (source, target):
            return one
    raise ValueError(f"a story never goes from {source.name} to {target.name}")


def delay(source: StoryState, target: StoryState) -> timedelta:
    """Return how long a story waits in `source` before it is due for `target`."""
    found = step(source, target).after
    if found is None:
        raise ValueError(f"from {source.name} to {target.name} nothing is ever due")
    return found


LIFETIME = delay(StoryState.LIVE, StoryState.EXPIRED)
PURGE_DELAY = delay(StoryState.EXPIRED, StoryState.PURGED)
PURGE_DELAY_AFTER_DELETION = delay(StoryState.DELETED, StoryState.PURGED)

URL_LIFETIME = timedelta(minutes=5)
"""Greatest life of a presigned address; it never outlives its story."""
DAILY_WINDOW = timedelta(hours=24)
MAX_REEL_LENGTH = 100
DEFAULT_TRAY_SIZE = 50
MAX_TRAY_SIZE = 200
DEFAULT_VIEWERS_SIZE = 20
MAX_VIEWERS_SIZE = 50
MAX_BATCH = 100
DEFAULT_SWEEP_SIZE = 1_000
MAX_SWEEP_SIZE = 10_000
MAX_REQUEST_ID_LENGTH = 64
MAX_HOLD_REASON_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Variant:
    """One size and format of a photo; `name` completes the key of its object."""

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
class Story:
    """What never changes of a story, whoever looks at it and whatever has become of it."""

    story_id: StoryId
    author_id: UserId
    photo: Photo
    create_time: datetime
    expire_time: datetime


@dataclass(frozen=True, slots=True)
class StoryRecord:
    """All that is kept of a story, also when it is gone."""

    story_id: StoryId
    author_id: UserId
    request_id: str
    upload_id: str
    photo: Photo
    state: StoryState
    create_time: datetime
    expire_time: datetime
    delete_time: datetime | None
    purge_due_time: datetime
    purge_time: datetime | None
    is_held: bool
    hold_reason: str
    hold_time: datetime | None

    @property
    def story(self) -> Story:
        """Return the part that viewers may see."""
        return Story(self.story_id, self.author_id, self.photo, self.create_time, self.expire_time)

    @property
    def end_time(self) -> datetime:
        """Return the moment from which on it is gone."""
        return self.delete_time or self.expire_time


@dataclass(frozen=True, slots=True)
class Entry:
    """A story in its author's list of live ones."""

    story_id: StoryId
    expire_time: datetime


Reel = tuple[Entry, ...]
"""One author's live stories, oldest first."""


@dataclass(frozen=True, slots=True)
class SignedPhoto:
    """A photo with an address for each variant, in their order; `None` in the last moments of a story, when no
    address could end in time.
    """

    photo: Photo
    urls: tuple[str, ...] | None
    url_expire_time: datetime | None


@dataclass(frozen=True, slots=True)
class StoryView:
    """A story as one viewer sees it; `photo` is `None` when the story is gone and only its record is told."""

    story: Story
    photo: SignedPhoto | None
    viewer_has_seen: bool


@dataclass(frozen=True, slots=True)
class Person:
    """What stands beside a reel; `payload` is the summary as feed_svc wrote it."""

    user_id: UserId
    payload: bytes


@dataclass(frozen=True, slots=True)
class ReelView:
    """One author's stories as one viewer sees them."""

    author: Person
    has_unseen: bool
    stories: tuple[StoryView, ...]


@dataclass(frozen=True, slots=True)
class Tray:
    """The reels in the order to show them."""

    reels: tuple[ReelView, ...]
    has_more: bool
    is_stale: bool


@dataclass(frozen=True, slots=True)
class Followees:
    """Whom a person follows; `is_stale` when it is the last known list because feed_svc can't answer."""

    user_ids: frozenset[UserId]
    is_stale: bool = False


@dataclass(frozen=True, slots=True)
class Relation:
    """How a viewer stands to another person."""

    exists: bool
    """Also false when the other has blocked the viewer: the two look the same."""
    follows: bool
    is_hidden: bool
    """A block stands between the two, either way."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """Somebody saw a story, first at `view_time`."""

    viewer_id: UserId
    view_time: datetime


@dataclass(frozen=True, slots=True)
class SightingPage:
    """Some viewers, most recent first; `next_before` is `None` at the end."""

    sightings: tuple[Sighting, ...]
    next_before: Sighting | None
    total_count: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A story that has just left LIVE."""

    story_id: StoryId
    author_id: UserId
    expire_time: datetime


class FindingKind(IntEnum):
    """Disagreements between rows, caches and photos; the numbers are those of the proto."""

    ROW_WITHOUT_CACHE = 1
    CACHE_WITHOUT_ROW = 2
    PHOTO_WITHOUT_ROW = 3
    ROW_WITHOUT_PHOTO = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """One disagreement; an id that isn't known is 0 or empty."""

    kind: FindingKind
    story_id: StoryId
    author_id: UserId
    upload_id: str
    is_repaired: bool


def is_live(expire_time: datetime, now: datetime) -> bool:
    """Whether a story is still to be seen: half-open, so at its expire_time it is gone."""
    return now < expire_time


def second_of(moment: datetime) -> datetime:
    """Return the beginning of the second in which a moment lies."""
    return moment.replace(microsecond=0)


def live_entries(reel: Reel, now: datetime) -> Reel:
    """Return what is still to be seen of a reel, in its order: all of it while its oldest story is."""
    if reel and is_live(reel[0].expire_time, now):
        return reel
    return tuple(entry for entry in reel if is_live(entry.expire_time, now))


class RankedReel(NamedTuple):
    """A reel with what decides its place in a tray, in that order: as tuples compare, the greatest is shown first."""

    is_own: bool
    has_unseen: bool
    newest_end: datetime
    """The latest end is the newest story: expire_time is create_time plus a constant."""
    newest_id: StoryId
    author_id: UserId
    entries: Reel


def rank(reels: Mapping[UserId, Reel], *, viewer: UserId, seen: frozenset[StoryId], now: datetime) -> list[RankedReel]:
    """Return the reels that have something to show: own first, then with something unseen, then the newest story."""
    ranked = []
    for author_id, reel in reels.items():
        if entries := live_entries(reel, now):
            is_own, newest = author_id == viewer, entries[-1]
            unseen = not is_own and has_unseen(entries, seen)
            ranked.append(RankedReel(is_own, unseen, newest.expire_time, newest.story_id, author_id, entries))
    ranked.sort(reverse=True)
    return ranked


def has_unseen(entries: Reel, seen: frozenset[StoryId]) -> bool:
    """Whether there is a story among them that was not seen."""
    for entry in entries:  # noqa: SIM110 - a generator costs more than most reels have to look at
        if entry.story_id not in seen:
            return True
    return False


def url_end(expire_time: datetime, now: datetime) -> datetime | None:
    """Return when an address signed now ends: in 5 minutes, and no later than the story.

    Addresses count in whole seconds, so both ends are rounded down; `None` when less than one second remains.
    """
    signed_at = now.replace(microsecond=0)
    end = min(signed_at + URL_LIFETIME, expire_time.replace(microsecond=0))
    return end if end > signed_at and end > now else None


def may_see(viewer: UserId, author: UserId, relation: Relation | None) -> bool:
    """Whether a viewer may see an author's stories: one's own, or of somebody followed with no block in between."""
    if viewer == author:
        return True
    return relation is not None and relation.follows and not relation.is_hidden


def attachment_reference(author: UserId, request_id: str) -> str:
    """Return the name under which a story's photo is attached: the same at every retry of the same request."""
    return f"story:{author}:{request_id}"


def parse_reference(reference: str) -> tuple[UserId, str] | None:
    """Return author and request id of an attachment's reference; `None` when it is not a story's."""
    kind, _, rest = reference.partition(":")
    author, _, request_id = rest.partition(":")
    if kind != "story" or not author.isdecimal() or not request_id:
        return None
    return UserId(int(author)), request_id


def checked_request_id(request_id: str) -> str:
    """Return the idempotency key; `RequestIdInvalid` unless it has 1 to 64 printable ASCII characters."""
    plain = request_id.isascii() and request_id.isprintable()
    if not 1 <= len(request_id) <= MAX_REQUEST_ID_LENGTH or not plain:
        raise RequestIdInvalid(max_length=MAX_REQUEST_ID_LENGTH)
    return request_id


def checked_upload_id(upload_id: str) -> str:
    """Return the id in its one spelling; `UploadNotFound` when it is no UUID, since there is no such upload then."""
    try:
        return str(UUID(upload_id))
    except ValueError as error:
        raise UploadNotFound from error


def checked_page_size(page_size: int, *, default: int, most: int) -> int:
    """Return the page size, 0 meaning the default; `PageSizeInvalid` outside 1 to `most`."""
    if page_size == 0:
        return default
    if not 1 <= page_size <= most:
        raise PageSizeInvalid(max_page_size=most)
    return page_size


def checked_batch(story_ids: Sequence[int]) -> list[StoryId]:
    """Return the ids; `BatchTooLarge` unless they are 1 to 100."""
    if not 1 <= len(story_ids) <= MAX_BATCH:
        raise BatchTooLarge(max_size=MAX_BATCH)
    return [StoryId(story_id) for story_id in story_ids]


def checked_hold_reason(reason: str) -> str:
    """Return the reason, trimmed; `LegalHoldReasonRequired` unless it has 1 to 500 characters without a NUL."""
    text = reason.strip()
    if not 1 <= len(text) <= MAX_HOLD_REASON_LENGTH or "\0" in text:
        raise LegalHoldReasonRequired(max_length=MAX_HOLD_REASON_LENGTH)
    return text
