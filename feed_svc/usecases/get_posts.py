"""Look posts up."""

from collections.abc import Sequence
from dataclasses import dataclass

from feed_svc.domain import FIRST_POSITION, Page, PostId, PostView, UserId, checked_page_size
from feed_svc.errors import UserNotFound
from feed_svc.store import Store
from feed_svc.usecases.hydrate_posts import HydratePosts


@dataclass(frozen=True, slots=True)
class GetPosts:
    """Posts by id."""

    store: Store
    hydrate: HydratePosts

    async def __call__(self, viewer: UserId, post_ids: Sequence[PostId]) -> dict[PostId, PostView]:
        """Return those that exist for the viewer: not deleted, no block between viewer and author."""
        views = [view for view in await self.hydrate(post_ids) if view.post.delete_time is None]
        relations = await self.store.relations(viewer, {view.author.user_id for view in views})
        return {view.post.post_id: view for view in views if not relations.hides(view.author.user_id)}


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
        relations = await self.store.relations(viewer, [author])
        if relations.hides(author) or not await self.store.get_users([author]):
            raise UserNotFound
        post_ids = await self.store.list_posts_by_author(author, before=before, limit=size + 1)
        views = await self.hydrate(post_ids[:size])
        return Page(tuple(views), post_ids[size - 1] if len(post_ids) > size else None)
