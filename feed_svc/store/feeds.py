"""Home feeds as Postgres knows them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from feed_svc.domain import DeliveryMode, PostFacts, PostId, UserId
from feed_svc.store.base import Base
from mesh import queries
from mesh.postgres import Connection

_QUERIES = queries.load("feed_svc", "sql/feeds.sql")

PROBE = 8
"""Newest posts of each author by which `pull_feed` finds how far down it must look."""


@dataclass(frozen=True, slots=True)
class _Recent:
    author_id: int
    post_ids: list[int]


@dataclass(frozen=True, slots=True)
class _Facts:
    post_id: int
    author_id: int
    create_time: datetime
    delivery_mode: int
    policy_version: int
    fan_out_seconds: float | None
    follow_time: datetime | None
    author_exists: bool


class Feeds(Base):
    """Generations, feeds by pull, and who has a timeline."""

    async def bump_generation(self, connection: Connection, user_id: UserId) -> int:
        """Note in a transaction that the person's own doing adds to their feed; return the generation from then on."""
        generation: int = await _QUERIES["bump_generation"].value(connection, user_id=user_id)
        return generation

    async def generation(self, user_id: UserId) -> int | None:
        """Return a person's generation; `None` when there is no such person."""
        async with self._postgres.primary() as connection:
            generation: int | None = await _QUERIES["get_generation"].value(connection, user_id=user_id)
        return generation

    async def pull_feed(self, viewer: UserId, *, before: PostId, limit: int) -> list[PostId]:
        """Return the viewer's feed below `before`, newest first, computed from edges and posts alone."""
        async with self._postgres.primary() as connection:
            return await _QUERIES["pull_feed"].values(
                connection, viewer_id=viewer, before=before, limit=limit, probe=PROBE
            )

    async def oracle_feed(self, viewer: UserId, *, limit: int) -> list[PostId]:
        """Return the same feed by the plainest query there is."""
        async with self._postgres.primary() as connection:
            return await _QUERIES["oracle_feed"].values(connection, viewer_id=viewer, limit=limit)

    async def posts_under_way(self, post_ids: Iterable[PostId]) -> set[PostId]:
        """Return which of these posts wait for their fan-out to end."""
        async with self._postgres.primary() as connection:
            return set(await _QUERIES["posts_under_way"].values(connection, post_ids=list(post_ids)))

    async def pulled_authors_of(self, viewer: UserId) -> frozenset[UserId]:
        """Return whom of those the viewer follows has posts stamped PULL."""
        async with self._postgres.primary() as connection:
            return frozenset(await _QUERIES["pulled_authors_of"].values(connection, viewer_id=viewer))

    async def recent_pulled(self, authors: Collection[UserId], *, limit: int) -> Mapping[UserId, list[PostId]]:
        """Return the newest PULL posts of each of these authors, newest first."""
        async with self._postgres.read() as connection:
            rows = await _QUERIES["recent_pulled"].all(connection, _Recent, authors=list(authors), limit=limit)
        return {UserId(row.author_id): [PostId(post_id) for post_id in row.post_ids] for row in rows}

    async def pulled_below(self, authors: Collection[UserId], *, before: PostId, limit: int) -> list[PostId]:
        """Return PULL posts of these authors below `before`, newest first."""
        async with self._postgres.read() as connection:
            return await _QUERIES["pulled_below"].values(connection, authors=list(authors), before=before, limit=limit)

    async def touch_timeline(self, user_id: UserId) -> None:
        """Note that a person has a timeline, and reads it now."""
        async with self._postgres.primary() as connection:
            await _QUERIES["touch_timeline"].run(connection, user_id=user_id)

    async def inactive_timelines(self, *, seconds: float, limit: int) -> list[UserId]:
        """Return whose timelines nobody has read for so long."""
        async with self._postgres.primary() as connection:
            return await _QUERIES["inactive_timelines"].values(connection, seconds=seconds, limit=limit)

    async def forget_timelines(self, user_ids: Collection[UserId], *, seconds: float) -> None:
        """Note that these people have no timeline, but for those who have read it since."""
        async with self._postgres.primary() as connection:
            await _QUERIES["forget_timelines"].run(connection, user_ids=list(user_ids), seconds=seconds)

    async def draw_timelines(self, *, seed: int, limit: int) -> list[UserId]:
        """Return a sample of people who have a timeline."""
        async with self._postgres.read() as connection:
            return await _QUERIES["draw_timelines"].values(connection, seed=seed, limit=limit)

    async def last_read_time(self, user_id: UserId) -> datetime | None:
        """Return when a timeline was read last, to the hour."""
        async with self._postgres.primary() as connection:
            moment: datetime | None = await _QUERIES["last_read_time"].value(connection, user_id=user_id)
        return moment

    async def explain_posts(self, viewer: UserId, post_ids: Iterable[PostId]) -> dict[PostId, PostFacts]:
        """Return what is known of posts in a feed, those that exist, by id."""
        async with self._postgres.primary() as connection:
            rows = await _QUERIES["explain_posts"].all(connection, _Facts, viewer_id=viewer, post_ids=list(post_ids))
        return {
            PostId(row.post_id): PostFacts(
                post_id=PostId(row.post_id),
                author_id=UserId(row.author_id),
                create_time=row.create_time,
                delivery_mode=DeliveryMode(row.delivery_mode),
                policy_version=row.policy_version,
                fan_out_seconds=row.fan_out_seconds,
                follow_time=row.follow_time,
                author_exists=row.author_exists,
            )
            for row in rows
        }
