"""Who follows and blocks whom."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from feed_svc.domain import Edge, Relation, Relations, UserId
from feed_svc.store.people import People
from mesh import queries
from mesh.postgres import Connection

_QUERIES = queries.load("feed_svc", "sql/edges.sql")


class Edges(People):
    """Follows and blocks, each kept by either end."""

    async def lock_pair(self, connection: Connection, one: UserId, other: UserId) -> None:
        """Let one change of this pair's edges and blocks happen at a time."""
        await _QUERIES["lock_pair"].run(connection, one=one, other=other)

    async def insert_follow(self, connection: Connection, follower: UserId, followee: UserId) -> bool:
        """Write the edge at both ends with its counts; `False` when it exists."""
        if not await _QUERIES["insert_follow"].run(connection, follower_id=follower, followee_id=followee):
            return False
        await _QUERIES["insert_follower"].run(connection, follower_id=follower, followee_id=followee)
        await self.count_for_user(connection, follower, following=1)
        await self.count_for_user(connection, followee, followers=1)
        return True

    async def delete_follow(self, connection: Connection, follower: UserId, followee: UserId) -> bool:
        """Remove the edge at both ends with its counts; `False` when there is none."""
        if not await _QUERIES["delete_follow"].run(connection, follower_id=follower, followee_id=followee):
            return False
        await _QUERIES["delete_follower"].run(connection, follower_id=follower, followee_id=followee)
        await self.count_for_user(connection, follower, following=-1)
        await self.count_for_user(connection, followee, followers=-1)
        return True

    async def insert_block(self, connection: Connection, blocker: UserId, blocked: UserId) -> bool:
        """Write the block at both ends; `False` when it exists."""
        if not await _QUERIES["insert_block"].run(connection, blocker_id=blocker, blocked_id=blocked):
            return False
        await _QUERIES["insert_blocked_by"].run(connection, blocker_id=blocker, blocked_id=blocked)
        return True

    async def delete_block(self, connection: Connection, blocker: UserId, blocked: UserId) -> bool:
        """Remove the block at both ends; `False` when there is none."""
        if not await _QUERIES["delete_block"].run(connection, blocker_id=blocker, blocked_id=blocked):
            return False
        await _QUERIES["delete_blocked_by"].run(connection, blocker_id=blocker, blocked_id=blocked)
        return True

    async def block_time(self, connection: Connection, blocker: UserId, blocked: UserId) -> datetime:
        """Return when a block that exists was set."""
        moment: datetime = await _QUERIES["block_time"].value(connection, blocker_id=blocker, blocked_id=blocked)
        return moment

    async def relations(self, viewer: UserId, others: Iterable[UserId]) -> Relations:
        """Return how the viewer stands to `others`."""
        async with self._postgres.primary() as connection:
            return await self.relations_in(connection, viewer, others)

    async def relations_in(self, connection: Connection, viewer: UserId, others: Iterable[UserId]) -> Relations:
        """Return the same inside a transaction."""
        asked = {"viewer_id": viewer, "others": list(others)}
        return Relations(
            followed=frozenset(await _QUERIES["followees_among"].values(connection, **asked)),
            blocked=frozenset(await _QUERIES["blocked_among"].values(connection, **asked)),
            blockers=frozenset(await _QUERIES["blockers_among"].values(connection, **asked)),
        )

    async def followed_among(self, viewer: UserId, others: Iterable[UserId]) -> list[UserId]:
        """Return whom of `others` the viewer follows."""
        async with self._postgres.primary() as connection:
            return await _QUERIES["followees_among"].values(connection, viewer_id=viewer, others=list(others))

    async def relations_of_pairs(self, pairs: Sequence[tuple[UserId, UserId]]) -> list[Relation]:
        """Return how each first person stands to each second one, in the order of the pairs."""
        subjects, objects = [list(side) for side in zip(*pairs, strict=True)] if pairs else ([], [])
        async with self._postgres.primary() as connection:
            return await _QUERIES["relations_of_pairs"].all(connection, Relation, subjects=subjects, objects=objects)

    async def list_followees(
        self, user_id: UserId, *, before_time: datetime, before_id: UserId, limit: int
    ) -> list[Edge]:
        """Return whom a person follows, most recent follow first, behind the edge of that time and id."""
        async with self._postgres.read() as connection:
            return await _QUERIES["list_followees"].all(
                connection, Edge, user_id=user_id, before_time=before_time, before_id=before_id, limit=limit
            )

    async def list_followers(self, user_id: UserId, *, after: int, limit: int) -> list[UserId]:
        """Return who follows a person, by id, behind `after`."""
        async with self._postgres.read() as connection:
            return await _QUERIES["list_followers"].values(connection, user_id=user_id, after=after, limit=limit)

    async def list_blocked(
        self, user_id: UserId, *, before_time: datetime, before_id: UserId, limit: int
    ) -> list[Edge]:
        """Return whom a person has blocked, most recent block first, behind the block of that time and id."""
        async with self._postgres.primary() as connection:
            return await _QUERIES["list_blocked"].all(
                connection, Edge, user_id=user_id, before_time=before_time, before_id=before_id, limit=limit
            )
