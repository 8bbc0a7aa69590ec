"""Whom a person follows, who follows them, and whom the viewer has blocked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from feed_svc.domain import Edge, UserId, checked_block_page_size, checked_edge_page_size
from feed_svc.errors import UserNotFound
from feed_svc.store import Store

NEWEST = Edge(UserId(2**63 - 1), datetime.max.replace(tzinfo=UTC))
"""Before every edge: where a list begins."""


@dataclass(frozen=True, slots=True)
class ListFollowees:
    """Whom a person follows, most recent follow first."""

    store: Store

    async def __call__(
        self, viewer: UserId | None, user_id: UserId, *, page_size: int, before: Edge = NEWEST
    ) -> tuple[Sequence[Edge], bool]:
        """Return a page behind `before`, and whether there is more."""
        size = checked_edge_page_size(page_size)
        await _refuse_hidden(self.store, viewer, user_id)
        found = await self.store.list_followees(
            user_id, before_time=before.create_time, before_id=before.user_id, limit=size + 1
        )
        return found[:size], len(found) > size


@dataclass(frozen=True, slots=True)
class ListFollowers:
    """Who follows a person, in the order of their ids."""

    store: Store

    async def __call__(
        self, viewer: UserId | None, user_id: UserId, *, page_size: int, after: int = 0
    ) -> tuple[Sequence[UserId], bool]:
        """Return a page behind the id `after`, and whether there is more."""
        size = checked_edge_page_size(page_size)
        await _refuse_hidden(self.store, viewer, user_id)
        found = await self.store.list_followers(user_id, after=after, limit=size + 1)
        return found[:size], len(found) > size


@dataclass(frozen=True, slots=True)
class ListBlockedUsers:
    """Whom the viewer has blocked, most recent block first."""

    store: Store

    async def __call__(self, viewer: UserId, *, page_size: int, before: Edge = NEWEST) -> tuple[Sequence[Edge], bool]:
        """Return a page behind `before`, and whether there is more."""
        size = checked_block_page_size(page_size)
        found = await self.store.list_blocked(
            viewer, before_time=before.create_time, before_id=before.user_id, limit=size + 1
        )
        return found[:size], len(found) > size


async def _refuse_hidden(store: Store, viewer: UserId | None, user_id: UserId) -> None:
    users = await store.get_users([user_id])
    if not users or (viewer is not None and (await store.relations(viewer, [user_id])).hides(user_id)):
        raise UserNotFound
