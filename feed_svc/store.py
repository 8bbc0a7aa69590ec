"""Postgres, the truth: one method per named query or per group that belongs in one transaction.

Methods that take a connection run inside the caller's transaction; the others borrow a connection of their own.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from feed_svc.domain import (
    DeliveryMode,
    DeliveryPolicy,
    Followee,
    Photo,
    Post,
    PostId,
    Relation,
    Relations,
    User,
    UserId,
    Variant,
)
from feed_svc.errors import UsernameTaken, UserNotFound
from mesh import queries
from mesh.postgres import Connection, Postgres

_QUERIES = queries.load(__package__)


@dataclass(frozen=True, slots=True)
class _PostRow:
    post_id: int
    author_id: int
    request_id: str
    upload_id: str
    photo: dict[str, Any]
    caption: str
    alt_text: str
    delivery_mode: int
    policy_version: int
    create_time: datetime
    delete_time: datetime | None


class Store:
    """The service's database."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """Open the one transaction of a write."""
        return self._postgres.transaction()

    async def upsert_user(self, connection: Connection, user_id: UserId, username: str, display_name: str) -> None:
        """Create or change a person; `UsernameTaken` when somebody else bears the name. Safe to repeat."""
        owner = await _QUERIES["claim_username"].value(connection, username=username, user_id=user_id)
        if owner != user_id:
            raise UsernameTaken(username=username)
        await _QUERIES["release_usernames"].run(connection, username=username, user_id=user_id)
        await _QUERIES["upsert_user"].run(connection, user_id=user_id, username=username, display_name=display_name)

    async def get_users(self, user_ids: Iterable[UserId]) -> dict[UserId, User]:
        """Return the people that exist, by id."""
        async with self._postgres.read() as connection:
            users = await _QUERIES["get_users"].all(connection, User, user_ids=list(user_ids))
        return {user.user_id: user for user in users}

    async def user_id_by_username(self, username: str) -> UserId | None:
        """Return who bears a name, given in lower case."""
        async with self._postgres.read() as connection:
            found: UserId | None = await _QUERIES["get_user_id_by_username"].value(connection, username=username)
        return found

    async def lock_user(self, connection: Connection, user_id: UserId) -> User | None:
        """Return the person, held until the transaction ends, so that two changes of them follow each other."""
        return await _QUERIES["lock_user"].one(connection, User, user_id=user_id)

    async def get_user(self, user_id: UserId) -> User:
        """Return a person as of now; `UserNotFound` when there is none."""
        async with self._postgres.primary() as connection:
            user = await _QUERIES["get_users"].one(connection, User, user_ids=[user_id])
        if user is None:
            raise UserNotFound
        return user

    async def user_exists(self, connection: Connection, user_id: UserId) -> bool:
        """Whether there is such a person."""
        return await _QUERIES["get_users"].one(connection, User, user_ids=[user_id]) is not None

    async def lock_pair(self, connection: Connection, one: UserId, other: UserId) -> None:
        """Let one change of this pair's edges and blocks happen at a time."""
        await _QUERIES["lock_pair"].run(connection, one=one, other=other)

    async def insert_follow(self, connection: Connection, follower: UserId, followee: UserId) -> bool:
        """Write the edge at both ends with its counts; `False` when it exists."""
        if not await _QUERIES["insert_follow"].run(connection, follower_id=follower, followee_id=followee):
            return False
        await _QUERIES["insert_follower"].run(connection, follower_id=follower, followee_id=followee)
        await self._count_edge(connection, follower, followee, change=1)
        return True

    async def delete_follow(self, connection: Connection, follower: UserId, followee: UserId) -> bool:
        """Remove the edge at both ends with its counts; `False` when there is none."""
        if not await _QUERIES["delete_follow"].run(connection, follower_id=follower, followee_id=followee):
            return False
        await _QUERIES["delete_follower"].run(connection, follower_id=follower, followee_id=followee)
        await self._count_edge(connection, follower, followee, change=-1)
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

    async def relations_of_pairs(self, pairs: Sequence[tuple[UserId, UserId]]) -> list[Relation]:
        """Return how each first person stands to each second one, in the order of the pairs."""
        subjects, objects = [list(side) for side in zip(*pairs, strict=True)] if pairs else ([], [])
        async with self._postgres.primary() as connection:
            return await _QUERIES["relations_of_pairs"].all(connection, Relation, subjects=subjects, objects=objects)

    async def list_followees(
        self, user_id: UserId, *, before_time: datetime, before_id: UserId, limit: int
    ) -> list[Followee]:
        """Return whom a person follows, most recent follow first, behind the edge of that time and id."""
        async with self._postgres.read() as connection:
            return await _QUERIES["list_followees"].all(
                connection, Followee, user_id=user_id, before_time=before_time, before_id=before_id, limit=limit
            )

    async def list_followers(self, user_id: UserId, *, after: int, limit: int) -> list[UserId]:
        """Return who follows a person, by id, behind `after`; from the primary, since fan-out relies on it."""
        async with self._postgres.primary() as connection:
            return await _QUERIES["list_followers"].values(connection, user_id=user_id, after=after, limit=limit)

    async def current_policy(self, connection: Connection) -> DeliveryPolicy:
        """Return the policy that stamps new posts."""
        policy = await _QUERIES["current_policy"].one(connection, DeliveryPolicy)
        assert policy is not None  # noqa: S101 - the first migration writes one
        return policy

    async def insert_post(self, connection: Connection, post: Post) -> bool:
        """Write a post; `False` when the author's request created one already."""
        row = {**asdict(post), "photo": Jsonb(asdict(post.photo)), "delivery_mode": int(post.delivery_mode)}
        return bool(await _QUERIES["insert_post"].run(connection, **row))

    async def get_post_by_request(self, author: UserId, request_id: str) -> Post | None:
        """Return what a request of this author created."""
        async with self._postgres.primary() as connection:
            row = await _QUERIES["get_post_by_request"].one(
                connection, _PostRow, author_id=author, request_id=request_id
            )
        return _post(row) if row else None

    async def get_posts(self, post_ids: Iterable[PostId]) -> dict[PostId, Post]:
        """Return the posts that exist, deleted ones included, by id."""
        async with self._postgres.primary() as connection:
            rows = await _QUERIES["get_posts"].all(connection, _PostRow, post_ids=list(post_ids))
        return {PostId(row.post_id): _post(row) for row in rows}

    async def delete_post(self, connection: Connection, author: UserId, post_id: PostId) -> Post | None:
        """Tombstone the author's post; `None` when it isn't theirs, or is deleted already."""
        row = await _QUERIES["delete_post"].one(connection, _PostRow, author_id=author, post_id=post_id)
        return _post(row) if row else None

    async def list_posts_by_author(self, author: UserId, *, before: PostId, limit: int) -> list[PostId]:
        """Return an author's posts below `before`, newest first."""
        async with self._postgres.primary() as connection:
            return await _QUERIES["list_posts_by_author"].values(
                connection, author_id=author, before=before, limit=limit
            )

    async def pull_feed(self, viewer: UserId, *, before: PostId, limit: int) -> list[PostId]:
        """Return the viewer's feed below `before`, newest first, computed from edges and posts alone."""
        async with self._postgres.primary() as connection:
            return await _QUERIES["pull_feed"].values(connection, viewer_id=viewer, before=before, limit=limit)

    async def pull_stamped(self, viewer: UserId, *, before: PostId, limit: int) -> list[PostId]:
        """Return the posts of that feed that are stamped PULL."""
        async with self._postgres.primary() as connection:
            return await _QUERIES["pull_stamped"].values(connection, viewer_id=viewer, before=before, limit=limit)

    @staticmethod
    async def _count_edge(connection: Connection, follower: UserId, followee: UserId, *, change: int) -> None:
        # In the order of ids: two transactions that count the same two people can't wait for each other.
        counts = {follower: "count_following", followee: "count_follower"}
        for user_id in sorted(counts):
            await _QUERIES[counts[user_id]].run(connection, user_id=user_id, change=change)


def _post(row: _PostRow) -> Post:
    variants = tuple(Variant(**variant) for variant in row.photo["variants"])
    return Post(
        post_id=PostId(row.post_id),
        author_id=UserId(row.author_id),
        request_id=row.request_id,
        upload_id=row.upload_id,
        photo=Photo(**{**row.photo, "variants": variants}),
        caption=row.caption,
        alt_text=row.alt_text,
        delivery_mode=DeliveryMode(row.delivery_mode),
        policy_version=row.policy_version,
        create_time=row.create_time,
        delete_time=row.delete_time,
    )
