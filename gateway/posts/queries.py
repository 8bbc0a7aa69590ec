"""Queries about posts."""

from typing import Annotated

import strawberry

from gateway import ids
from gateway.context import Info
from gateway.posts.reads import load_post
from gateway.posts.types import KIND, Post
from mesh.errors import NotFound


class PostNotFound(NotFound):
    """There is no such post for the viewer."""

    reason = "POST_NOT_FOUND"
    message = "there is no such post"


@strawberry.type
class PostQueries:
    """Fields of `Query` about posts."""

    @strawberry.field(description="A post by its id; POST_NOT_FOUND when it is absent or not for the viewer.")
    async def post(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Id of the post.")],
    ) -> Post | None:
        """Return a post."""
        found = await load_post(ids.number(KIND, id), info)
        if found is None:
            raise PostNotFound
        return found
