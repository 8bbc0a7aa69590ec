"""Posts and likes."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from feed_svc.domain import DeliveryMode, Post, PostId, Standing, UserId
from feed_svc.store.base import Base, photo_of, stored_photo
from mesh import queries
from mesh.postgres import Connection

_QUERIES = queries.load("feed_svc", "sql/posts.sql")


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
    follower_count: int
    create_time: datetime
    delete_time: datetime | None
    fan_out_time: datetime | None


@dataclass(frozen=True, slots=True)
class _PullAuthor:
    author_id: int
    create_time: datetime


class Posts(Base):
    """Posts, their stamps, and who likes them."""

    async def insert_post(self, connection: Connection, post: Post) -> bool:
        """Write a post; `False` when the author's request created one already."""
        row: dict[str, Any] = {field.name: getattr(post, field.name) for field in fields(post)}
        row |= {"photo": Jsonb(stored_photo(post.photo)), "delivery_mode": int(post.delivery_mode)}
        if not await _QUERIES["insert_post"].run(connection, **row):
            return False
        if post.delivery_mode is DeliveryMode.PULL:
            await _QUERIES["insert_pull_author"].run(connection, author_id=post.author_id)
        return True

    async def last_delivery_mode(self, connection: Connection, author: UserId) -> DeliveryMode | None:
        """Return the stamp of the author's newest post."""
        mode = await _QUERIES["last_delivery_mode"].value(connection, author_id=author)
        return DeliveryMode(mode) if mode is not None else None

    async def pull_authors_since(self, since: datetime) -> dict[UserId, datetime]:
        """Return who got their first PULL stamp at `since` or later, and when."""
        async with self._postgres.primary() as connection:
            rows = await _QUERIES["pull_authors_since"].all(connection, _PullAuthor, since=since)
        return {UserId(row.author_id): row.create_time for row in rows}

    async def get_post_by_request(self, author: UserId, request_id: str) -> Post | None:
        """Return what a request of this author created, deleted or not."""
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

    async def standings(self, viewer: UserId, post_ids: Iterable[PostId]) -> dict[PostId, Standing]:
        """Return how posts stand to a viewer, those that exist, by id: one look at one moment."""
        async with self._postgres.primary() as connection:
            # As text, which psycopg writes seven times as fast as a list: this is the one query of every read.
            written = f"{{{','.join(map(str, post_ids))}}}"
            found = await _QUERIES["post_standings"].all(connection, Standing, viewer_id=viewer, post_ids=written)
        return {standing.post_id: standing for standing in found}

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

    async def author_posts_above(self, author: UserId, *, above: int, limit: int) -> list[PostId]:
        """Return an author's posts above an id, deleted ones included, newest first."""
        async with self._postgres.primary() as connection:
            return await _QUERIES["author_posts_above"].values(connection, author_id=author, above=above, limit=limit)

    async def insert_like(self, connection: Connection, user_id: UserId, post_id: PostId) -> bool:
        """Write a like with its count; `False` when it exists."""
        if not await _QUERIES["insert_like"].run(connection, user_id=user_id, post_id=post_id):
            return False
        await _QUERIES["count_likes"].run(connection, post_id=post_id, change=1)
        return True

    async def delete_like(self, connection: Connection, user_id: UserId, post_id: PostId) -> bool:
        """Remove a like with its count; `False` when there is none."""
        if not await _QUERIES["delete_like"].run(connection, user_id=user_id, post_id=post_id):
            return False
        await _QUERIES["count_likes"].run(connection, post_id=post_id, change=-1)
        return True

    async def wrong_like_counts(self, *, limit: int) -> list[PostId]:
        """Recount likes of posts from a random one on; return those whose counters are wrong."""
        async with self._postgres.read() as connection:
            first = await _QUERIES["random_post"].value(connection)
            if first is None:
                return []
            return await _QUERIES["wrong_like_counts"].values(connection, first=first, limit=limit)


def _post(row: _PostRow) -> Post:
    return Post(
        post_id=PostId(row.post_id),
        author_id=UserId(row.author_id),
        request_id=row.request_id,
        upload_id=row.upload_id,
        photo=photo_of(row.photo),
        caption=row.caption,
        alt_text=row.alt_text,
        delivery_mode=DeliveryMode(row.delivery_mode),
        policy_version=row.policy_version,
        follower_count=row.follower_count,
        create_time=row.create_time,
        delete_time=row.delete_time,
        fan_out_time=row.fan_out_time,
    )
