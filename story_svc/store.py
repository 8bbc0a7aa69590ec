"""Postgres, the truth: one method per named query or per group that belongs in one transaction.

Methods that take a connection run inside the caller's transaction; the others borrow a connection of their own,
always to the primary: a reader that lags could show a deleted story again.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from mesh import queries
from mesh.postgres import Connection, Postgres
from story_svc.domain import (
    DAILY_WINDOW,
    LIFETIME,
    PURGE_DELAY,
    PURGE_DELAY_AFTER_DELETION,
    Ended,
    Entry,
    Photo,
    Reel,
    Sighting,
    StoryId,
    StoryRecord,
    StoryState,
    UserId,
    Variant,
)

_QUERIES = queries.load(__package__)


@dataclass(frozen=True, slots=True)
class Published:
    """How much an author published inside the daily window."""

    count: int
    next_time: datetime | None
    """When the oldest of them leaves the window."""
    now: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """What waits to be moved on."""

    to_expire: int
    to_purge: int
    expiry_lag_seconds: float
    purge_lag_seconds: float


@dataclass(frozen=True, slots=True)
class _RecordRow:
    story_id: int
    author_id: int
    request_id: str
    upload_id: str
    photo: dict[str, Any]
    state: int
    create_time: datetime
    expire_time: datetime
    delete_time: datetime | None
    purge_due_time: datetime
    purge_time: datetime | None
    is_held: bool
    hold_reason: str
    hold_time: datetime | None


@dataclass(frozen=True, slots=True)
class _EntryRow:
    author_id: int
    story_id: int
    expire_time: datetime


class Store:
    """The service's database."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """Open the one transaction of a write."""
        return self._postgres.transaction()

    async def read_clock(self) -> datetime:
        """Return the database's moment, to the microsecond."""
        async with self._postgres.primary() as connection:
            moment: datetime = await _QUERIES["read_clock"].value(connection)
        return moment

    async def lock_author(self, connection: Connection, author: UserId) -> None:
        """Let one publish of this author happen at a time."""
        await _QUERIES["lock_author"].value(connection, author_id=author)

    async def count_published(self, connection: Connection, author: UserId) -> Published:
        """Return how much the author published in the last 24 hours, deleted stories included."""
        counted = await _QUERIES["count_published"].one(
            connection, Published, author_id=author, time_window=DAILY_WINDOW
        )
        assert counted is not None  # noqa: S101 - an aggregate always has a row
        return counted

    async def has_request(self, connection: Connection, author: UserId, request_id: str) -> bool:
        """Whether a request of this author created its story already."""
        return bool(await _QUERIES["has_request"].value(connection, author_id=author, request_id=request_id))

    async def insert_story(
        self,
        connection: Connection,
        *,
        author: UserId,
        story_id: StoryId,
        request_id: str,
        upload_id: str,
        photo: Photo,
    ) -> StoryRecord | None:
        """Write a story that ends exactly 24 hours after this statement, by the database's clock; `None` when the
        author's request created one already.
        """
        row = await _QUERIES["insert_story"].one(
            connection,
            _RecordRow,
            author_id=author,
            story_id=story_id,
            request_id=request_id,
            upload_id=upload_id,
            photo=Jsonb(asdict(photo)),
            lifetime=LIFETIME,
            purge_delay=PURGE_DELAY,
        )
        return _record(row) if row else None

    async def get_record_by_request(self, author: UserId, request_id: str) -> StoryRecord | None:
        """Return what a request of this author created, in any state."""
        async with self._postgres.primary() as connection:
            row = await _QUERIES["get_record_by_request"].one(
                connection, _RecordRow, author_id=author, request_id=request_id
            )
        return _record(row) if row else None

    async def get_records(self, story_ids: Iterable[StoryId]) -> dict[StoryId, StoryRecord]:
        """Return the stories that ever existed, in any state, by id."""
        async with self._postgres.primary() as connection:
            rows = await _QUERIES["get_records"].all(connection, _RecordRow, story_ids=list(story_ids))
        return {StoryId(row.story_id): _record(row) for row in rows}

    async def get_records_by_request(
        self, requests: Sequence[tuple[UserId, str]]
    ) -> dict[tuple[UserId, str], StoryRecord]:
        """Return what these pairs of author and request created, by pair."""
        async with self._postgres.primary() as connection:
            rows = await _QUERIES["get_records_by_request"].all(
                connection,
                _RecordRow,
                author_ids=[author for author, _ in requests],
                request_ids=[request_id for _, request_id in requests],
            )
        return {(UserId(row.author_id), row.request_id): _record(row) for row in rows}

    async def live_entries(self, authors: Iterable[UserId]) -> dict[UserId, Reel]:
        """Return the live stories of each of these authors, oldest first; authors without one have an empty reel."""
        wanted = list(authors)
        async with self._postgres.primary() as connection:
            rows = await _QUERIES["live_entries"].all(connection, _EntryRow, author_ids=wanted)
        found: dict[UserId, list[Entry]] = {author: [] for author in wanted}
        for row in rows:
            found[UserId(row.author_id)].append(Entry(StoryId(row.story_id), row.expire_time))
        return {author: tuple(entries) for author, entries in found.items()}

    async def delete_story(self, connection: Connection, author: UserId, story_id: StoryId) -> StoryRecord | None:
        """Tombstone the author's live story; `None` when it isn't theirs or is gone already."""
        row = await _QUERIES["delete_story"].one(
            connection, _RecordRow, author_id=author, story_id=story_id, purge_delay=PURGE_DELAY_AFTER_DELETION
        )
        return _record(row) if row else None

    async def lock_due(self, connection: Connection, *, grace: timedelta, limit: int) -> list[Ended]:
        """Return and lock stories that are still LIVE `grace` after their end, most overdue first."""
        return await _QUERIES["lock_due"].all(connection, Ended, grace=grace, limit=limit)

    async def ending_between(self, begin: datetime, end: datetime) -> list[Ended]:
        """Return the live stories that end from `begin` on and before `end`, first to end first."""
        async with self._postgres.primary() as connection:
            return await _QUERIES["ending_between"].all(connection, Ended, begin=begin, end=end)

    async def lock_ended(self, connection: Connection, stories: Sequence[Ended]) -> list[Ended]:
        """Return and lock those of the stories that are still LIVE at their end or after it."""
        return await _QUERIES["lock_ended"].all(connection, Ended, **_keys(stories))

    async def still_live(self, stories: Sequence[Ended]) -> set[StoryId]:
        """Return those of the stories that are still LIVE in the record."""
        async with self._postgres.primary() as connection:
            return set(await _QUERIES["still_live"].values(connection, **_keys(stories)))

    async def expire_stories(self, connection: Connection, stories: Sequence[Ended]) -> list[Ended]:
        """Move stories whose time is over from LIVE to EXPIRED; return those that this call moved."""
        return await _QUERIES["expire_stories"].all(connection, Ended, **_keys(stories))

    async def lock_purgeable(self, connection: Connection, *, limit: int) -> list[StoryRecord]:
        """Return and lock ended stories whose photo is due to be purged and not held."""
        rows = await _QUERIES["lock_purgeable"].all(connection, _RecordRow, limit=limit)
        return [_record(row) for row in rows]

    async def mark_purged(self, connection: Connection, stories: Sequence[StoryRecord]) -> list[StoryRecord]:
        """Record that these photos are gone; return the records as they are then."""
        rows = await _QUERIES["mark_purged"].all(connection, _RecordRow, **_keys(stories))
        return [_record(row) for row in rows]

    async def postpone_purge(self, connection: Connection, stories: Sequence[StoryRecord], pause: timedelta) -> None:
        """Try to purge these again after a pause."""
        await _QUERIES["postpone_purge"].run(connection, pause=pause, **_keys(stories))

    async def due(self) -> Due:
        """Return what waits to be expired and purged."""
        async with self._postgres.primary() as connection:
            due = await _QUERIES["due"].one(connection, Due)
        assert due is not None  # noqa: S101 - an aggregate always has a row
        return due

    async def set_hold(
        self, connection: Connection, story_id: StoryId, *, is_held: bool, reason: str
    ) -> StoryRecord | None:
        """Set or lift a legal hold and write it to the history; `None` for an unknown or purged story."""
        row = await _QUERIES["set_hold"].one(connection, _RecordRow, story_id=story_id, is_held=is_held, reason=reason)
        if row is None:
            return None
        await _QUERIES["record_hold"].run(
            connection, story_id=story_id, author_id=row.author_id, is_held=is_held, reason=reason
        )
        return _record(row)

    async def insert_views(
        self, connection: Connection, viewer: UserId, stories: Sequence[tuple[StoryId, datetime]]
    ) -> None:
        """Write first sightings of stories (each with its end) at both ends; safe to repeat."""
        # In the order of ids: two calls that note the same stories can't wait for each other.
        ordered = sorted(stories)
        sightings: dict[str, Any] = {
            "viewer_id": viewer,
            "story_ids": [story_id for story_id, _ in ordered],
            "expire_times": [expire_time for _, expire_time in ordered],
        }
        await _QUERIES["insert_views"].run(connection, **sightings)
        await _QUERIES["insert_seen"].run(connection, **sightings)

    async def seen_by(self, viewer: UserId) -> frozenset[StoryId]:
        """Return the live stories that a viewer has seen."""
        async with self._postgres.primary() as connection:
            return frozenset(await _QUERIES["seen_by"].values(connection, viewer_id=viewer))

    async def list_views(self, story_id: StoryId, *, before: Sighting, limit: int) -> list[Sighting]:
        """Return who has seen a story, most recent first, behind `before`."""
        async with self._postgres.primary() as connection:
            return await _QUERIES["list_views"].all(
                connection,
                Sighting,
                story_id=story_id,
                view_time=before.view_time,
                viewer_id=before.viewer_id,
                limit=limit,
            )

    async def count_views(self, story_id: StoryId) -> int:
        """Return how many have seen a story."""
        async with self._postgres.primary() as connection:
            count: int = await _QUERIES["count_views"].value(connection, story_id=story_id)
        return count

    async def forget_views(self, *, limit: int) -> int:
        """Delete up to `limit` sightings, at each end, of stories that ended; return how many there were."""
        async with self._postgres.primary() as connection:
            gone = await _QUERIES["forget_views"].run(connection, limit=limit)
            return gone + await _QUERIES["forget_seen"].run(connection, limit=limit)

    async def page_of_live(self, *, after: int, limit: int) -> list[StoryRecord]:
        """Return live stories by id, behind `after`."""
        async with self._postgres.primary() as connection:
            rows = await _QUERIES["page_of_live"].all(connection, _RecordRow, after=after, limit=limit)
        return [_record(row) for row in rows]


def _keys(stories: Sequence[Ended] | Sequence[StoryRecord]) -> dict[str, Any]:
    return {
        "author_ids": [story.author_id for story in stories],
        "story_ids": [story.story_id for story in stories],
    }


def _record(row: _RecordRow) -> StoryRecord:
    variants = tuple(Variant(**variant) for variant in row.photo["variants"])
    return StoryRecord(
        story_id=StoryId(row.story_id),
        author_id=UserId(row.author_id),
        request_id=row.request_id,
        upload_id=row.upload_id,
        photo=Photo(**{**row.photo, "variants": variants}),
        state=StoryState(row.state),
        create_time=row.create_time,
        expire_time=row.expire_time,
        delete_time=row.delete_time,
        purge_due_time=row.purge_due_time,
        purge_time=row.purge_time,
        is_held=row.is_held,
        hold_reason=row.hold_reason,
        hold_time=row.hold_time,
    )
