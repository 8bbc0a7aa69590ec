"""People and their counters."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from feed_svc.domain import Photo, Profile, User, UserId
from feed_svc.errors import UsernameTaken, UserNotFound
from feed_svc.store.base import Base, photo_of, stored_photo
from mesh import queries
from mesh.clock import to_us
from mesh.postgres import Connection

_QUERIES = queries.load("feed_svc", "sql/people.sql")


@dataclass(frozen=True, slots=True)
class _UserRow:
    user_id: int
    username: str
    display_name: str
    avatar: dict[str, Any] | None
    create_time: datetime
    update_time: datetime
    follower_count: int
    following_count: int
    post_count: int


@dataclass(frozen=True, slots=True)
class _ProfileRow:
    user_id: int
    username: str
    display_name: str
    avatar: dict[str, Any] | None
    update_time: datetime


@dataclass(frozen=True, slots=True)
class Names:
    """What a person is called."""

    username: str
    display_name: str


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """What a request changed of a profile; `None` was left alone, an empty upload removed the picture."""

    display_name: str | None
    avatar_upload_id: str | None


class People(Base):
    """Users, names, profiles."""

    async def upsert_user(self, connection: Connection, user_id: UserId, username: str, display_name: str) -> None:
        """Create or change a person; `UsernameTaken` when somebody else bears the name. Safe to repeat."""
        owner = await _QUERIES["claim_username"].value(connection, username=username, user_id=user_id)
        if owner != user_id:
            raise UsernameTaken(username=username)
        await _QUERIES["release_usernames"].run(connection, username=username, user_id=user_id)
        await _QUERIES["upsert_user"].run(connection, user_id=user_id, username=username, display_name=display_name)

    async def get_users(self, user_ids: Iterable[UserId]) -> dict[UserId, User]:
        """Return the people that exist, by id."""
        async with self._postgres.primary() as connection:
            rows = await _QUERIES["get_users"].all(connection, _UserRow, user_ids=list(user_ids))
        return {UserId(row.user_id): _user(row) for row in rows}

    async def get_user(self, user_id: UserId) -> User:
        """Return a person; `UserNotFound` when there is none."""
        if (user := (await self.get_users([user_id])).get(user_id)) is None:
            raise UserNotFound
        return user

    async def get_profiles(self, user_ids: Iterable[UserId]) -> list[Profile]:
        """Return what stands beside people's posts; those that don't exist are missing."""
        async with self._postgres.primary() as connection:
            rows = await _QUERIES["get_author_summaries"].all(connection, _ProfileRow, user_ids=list(user_ids))
        return [
            Profile(
                user_id=UserId(row.user_id),
                username=row.username,
                display_name=row.display_name,
                avatar=photo_of(row.avatar) if row.avatar else None,
                version=to_us(row.update_time),
            )
            for row in rows
        ]

    async def user_id_by_username(self, username: str) -> UserId | None:
        """Return who bears a name, given in lower case."""
        async with self._postgres.primary() as connection:
            found: UserId | None = await _QUERIES["get_user_id_by_username"].value(connection, username=username)
        return found

    async def lock_user(self, connection: Connection, user_id: UserId) -> Names | None:
        """Return the person's names, held until the transaction ends, so that two changes of them follow each other."""
        return await _QUERIES["lock_user"].one(connection, Names, user_id=user_id)

    async def user_exists(self, connection: Connection, user_id: UserId) -> bool:
        """Whether there is such a person."""
        return await _QUERIES["user_exists"].value(connection, user_id=user_id) is not None

    async def following_count(self, connection: Connection, user_id: UserId) -> int:
        """Return how many a person follows."""
        count: int = await _QUERIES["following_count"].value(connection, user_id=user_id)
        return count

    async def follower_count(self, connection: Connection, user_id: UserId) -> int:
        """Return how many follow a person."""
        count: int = await _QUERIES["follower_count"].value(connection, user_id=user_id)
        return count

    async def insert_profile_change(
        self, connection: Connection, user_id: UserId, request_id: str, change: ProfileChange
    ) -> bool:
        """Note a change of a profile; `False` when the request did it already."""
        return bool(
            await _QUERIES["insert_profile_change"].run(
                connection,
                user_id=user_id,
                request_id=request_id,
                display_name=change.display_name,
                avatar_upload_id=change.avatar_upload_id,
            )
        )

    async def get_profile_change(self, user_id: UserId, request_id: str) -> ProfileChange | None:
        """Return what a request changed."""
        async with self._postgres.primary() as connection:
            return await _QUERIES["get_profile_change"].one(
                connection, ProfileChange, user_id=user_id, request_id=request_id
            )

    async def set_display_name(self, connection: Connection, user_id: UserId, display_name: str) -> None:
        """Change the shown name."""
        await _QUERIES["set_display_name"].run(connection, user_id=user_id, display_name=display_name)

    async def set_avatar(self, connection: Connection, user_id: UserId, avatar: Photo | None) -> None:
        """Change the profile picture; `None` removes it."""
        value = Jsonb(stored_photo(avatar)) if avatar else None
        await _QUERIES["set_avatar"].run(connection, user_id=user_id, avatar=value)

    async def wrong_user_counts(self, *, limit: int) -> list[UserId]:
        """Recount people from a random one on; return those whose counters are wrong."""
        async with self._postgres.read() as connection:
            first = await _QUERIES["random_user"].value(connection)
            if first is None:
                return []
            return await _QUERIES["wrong_user_counts"].values(connection, first=first, limit=limit)

    async def draw_users(self, *, seed: int, limit: int) -> list[UserId]:
        """Return a sample of people that the seed repeats."""
        async with self._postgres.read() as connection:
            return await _QUERIES["draw_users"].values(connection, seed=seed, limit=limit)

    @staticmethod
    async def count_for_user(
        connection: Connection, user_id: UserId, *, followers: int = 0, following: int = 0, posts: int = 0
    ) -> None:
        """Change a person's counters with the transaction."""
        await _QUERIES["count_for_user"].run(
            connection, user_id=user_id, followers=followers, following=following, posts=posts
        )


def _user(row: _UserRow) -> User:
    return User(
        user_id=UserId(row.user_id),
        username=row.username,
        display_name=row.display_name,
        avatar=photo_of(row.avatar) if row.avatar else None,
        follower_count=row.follower_count,
        following_count=row.following_count,
        post_count=row.post_count,
        create_time=row.create_time,
    )
