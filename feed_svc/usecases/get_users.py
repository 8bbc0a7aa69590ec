"""Look people up."""

from collections.abc import Sequence
from dataclasses import dataclass

from feed_svc.domain import User, UserId
from feed_svc.errors import UserNotFound
from feed_svc.store import Store


@dataclass(frozen=True, slots=True)
class GetUsers:
    """People by id."""

    store: Store

    async def __call__(self, user_ids: Sequence[UserId], *, viewer: UserId | None) -> dict[UserId, User]:
        """Return those that exist and have not blocked the viewer."""
        users = await self.store.get_users(user_ids)
        if viewer is not None:
            relations = await self.store.relations(viewer, users)
            return {user_id: user for user_id, user in users.items() if user_id not in relations.blockers}
        return users


@dataclass(frozen=True, slots=True)
class GetUserByUsername:
    """A person by name."""

    store: Store
    get_users: GetUsers

    async def __call__(self, username: str, *, viewer: UserId | None) -> User:
        """Return who bears the name, whatever its case; `UserNotFound` when nobody does, or they block the viewer."""
        user_id = await self.store.user_id_by_username(username.lower())
        users = await self.get_users([user_id], viewer=viewer) if user_id is not None else {}
        if not users:
            raise UserNotFound
        return next(iter(users.values()))
