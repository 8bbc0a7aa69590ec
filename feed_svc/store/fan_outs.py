"""What fan-out reads and notes in Postgres."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from feed_svc.domain import PostId, UserId
from feed_svc.store.base import Base
from mesh import queries
from mesh.postgres import Connection

_QUERIES = queries.load("feed_svc", "sql/feeds.sql")


@dataclass(frozen=True, slots=True)
class FanOutChunk:
    """The next followers of an author; ids are packed as big-endian 64-bit numbers."""

    scanned: int
    last_follower_id: int | None
    reached: bytes
    """Those with a timeline in the asked spans."""
    live: bytes
    """Those of them who may have the app open."""


@dataclass(frozen=True, slots=True)
class FanOutLag:
    """How far behind fan-out is."""

    waiting: int
    oldest_seconds: float


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A chunk that was given up."""

    dead_letter_id: int
    post_id: int
    after_follower_id: int
    attempt_count: int
    error: str
    dead_time: datetime


@dataclass(frozen=True, slots=True)
class Replayable:
    """A dead letter with what is needed to publish it again."""

    dead_letter_id: int
    subject: str
    payload: bytes
    is_replayed: bool


class FanOuts(Base):
    """Chunks of followers, progress, dead letters."""

    async def fan_out_chunk(
        self,
        author: UserId,
        *,
        after: int,
        limit: int,
        read_from: datetime,
        read_until: datetime,
        read_again_from: datetime,
        live_from: datetime,
    ) -> FanOutChunk:
        """Return the followers behind `after` whose timelines were read from `read_from` until `read_until`, or since
        `read_again_from`; from the primary, since nobody may be missed.
        """
        async with self._postgres.primary() as connection:
            chunk = await _QUERIES["fan_out_chunk"].one(
                connection,
                FanOutChunk,
                author_id=author,
                after=after,
                limit=limit,
                read_from=read_from,
                read_until=read_until,
                read_again_from=read_again_from,
                live_from=live_from,
            )
        assert chunk is not None  # noqa: S101 - the query adds up, so it has one row
        return chunk

    async def finish_fan_out(self, author: UserId, post_id: PostId) -> float | None:
        """Note that a post is in every timeline; return how many seconds that took, `None` when it was noted before."""
        async with self._postgres.primary() as connection:
            seconds: float | None = await _QUERIES["finish_fan_out"].value(
                connection, author_id=author, post_id=post_id
            )
        return seconds

    async def fan_out_lag(self) -> FanOutLag:
        """Return how many posts wait for their fan-out to end, and for how long the oldest has."""
        async with self._postgres.read() as connection:
            lag = await _QUERIES["fan_out_lag"].one(connection, FanOutLag)
        return lag or FanOutLag(0, 0.0)

    async def insert_dead_letter(
        self,
        *,
        stream_sequence: int,
        subject: str,
        payload: bytes,
        post_id: int,
        after_follower_id: int,
        attempt_count: int,
        error: str,
    ) -> None:
        """Set a chunk aside. Safe to repeat."""
        async with self._postgres.primary() as connection:
            await _QUERIES["insert_dead_letter"].run(
                connection,
                stream_sequence=stream_sequence,
                subject=subject,
                payload=payload,
                post_id=post_id,
                after_follower_id=after_follower_id,
                attempt_count=attempt_count,
                error=error,
            )

    async def list_dead_letters(self, *, before: int, limit: int) -> list[DeadLetter]:
        """Return chunks that were given up and not replayed, newest first, below an id."""
        async with self._postgres.primary() as connection:
            return await _QUERIES["list_dead_letters"].all(connection, DeadLetter, before=before, limit=limit)

    async def lock_dead_letters(self, connection: Connection, ids: Collection[int]) -> list[Replayable]:
        """Return dead letters, replayed or not, held until the transaction ends."""
        return await _QUERIES["lock_dead_letters"].all(connection, Replayable, dead_letter_ids=list(ids))

    async def mark_replayed(self, connection: Connection, ids: Collection[int]) -> None:
        """Note that dead letters were queued again."""
        await _QUERIES["mark_replayed"].run(connection, dead_letter_ids=list(ids))
