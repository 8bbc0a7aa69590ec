"""Look posts up."""

from collections.abc import Sequence
from dataclasses import dataclass

from feed_svc.domain import FIRST_POSITION, Page, PostId, PostView, UserId, checked_page_size
from feed_svc.errors import PostNotFound, UserNotFound
from feed_svc.store import Store
from feed_svc.usecases.hydrate_posts import HydratePosts


@dataclass(frozen=True, slots=True)
class GetPosts:
    """Posts by id."""

    store: Store
    hydrate: HydratePosts

    async def __call__(self, viewer: UserId, post_ids: Sequence[PostId]) -> dict[PostId, PostView]:
        """Return those that exist for the viewer: not deleted, no block between viewer and author."""
        standings = await self.store.standings(viewer, post_ids)
        seen = [one for one in standings.values() if not one.is_deleted and not one.is_hidden]
        return {view.post_id: view for view in await self.hydrate(seen)}

    async def one(self, viewer: UserId, post_id: PostId) -> PostView:
        """Return one post; `PostNotFound` when it does not exist for the viewer."""
        found = await self(viewer, [post_id])
        if post_id not in found:
            raise PostNotFound
        return found[post_id]


@dataclass(frozen=True, slots=True)
class ListPostsByAuthor:
    """A person's posts, newest first."""

    store: Store
    hydrate: HydratePosts

    async def __call__(
        self, viewer: UserId, author: UserId, *, page_size: int, before: PostId = FIRST_POSITION
    ) -> Page:
        """Return a page below `before`; `UserNotFound` when there is no such person or a block hides them."""
        size = checked_page_size(page_size)
        post_ids = await self.store.list_posts_by_author(author, before=before, limit=size + 1)
        if not post_ids and not await self.store.get_users([author]):
            raise UserNotFound
        page = post_ids[:size]
        standings = await self.store.standings(viewer, page) if page else {}
        relations = await self.store.relations(viewer, [author])
        if relations.hides(author):
            raise UserNotFound
        shown = [standings[post_id] for post_id in page if post_id in standings and not standings[post_id].is_deleted]
        return Page(tuple(await self.hydrate(shown)), page[-1] if len(post_ids) > size else None)
