"""Queries about people."""

from typing import Annotated

import strawberry

from gateway import ids
from gateway.context import Info
from gateway.errors import ArgumentsInvalid
from gateway.people.types import KIND, User
from gateway.scalars import checked_text
from heliograph.feed.v1.graph_service_pb2 import GetUserByUsernameRequest
from mesh.errors import NotFound


class UserNotFound(NotFound):
    """There is no such person for the viewer."""

    reason = "USER_NOT_FOUND"
    message = "there is no such person"


@strawberry.type
class PeopleQueries:
    """Fields of `Query` about people."""

    @strawberry.field(description="Who asks.")
    async def viewer(self, info: Info) -> User:
        """Return the viewer's own profile."""
        return await found_user(info.context.viewer_id, info)

    @strawberry.field(
        description="A person by id or by username, one of the two; USER_NOT_FOUND when absent or not for the viewer."
    )
    async def user(
        self,
        info: Info,
        id: Annotated[strawberry.ID | None, strawberry.argument(description="Id of the person.")] = None,
        username: Annotated[str | None, strawberry.argument(description="Unique name, in any case.")] = None,
    ) -> User | None:
        """Return a person."""
        if (id is None) == (username is None):
            raise ArgumentsInvalid("give either id or username")
        if id is not None:
            return await found_user(ids.number(KIND, id), info)
        request = GetUserByUsernameRequest(username=checked_text(username or ""))
        reply = await info.context.clients.graph.GetUserByUsername(request)
        return User(record=reply.user)


async def found_user(user_id: int, info: Info) -> User:
    """Return a person by id; `UserNotFound` when absent or hidden."""
    record = await info.context.loaders.users.load(user_id)
    if record is None:
        raise UserNotFound
    return User(record=record)
