"""Mutations of the graph of people, and of one's own profile."""

from uuid import uuid4

import strawberry

from gateway import ids
from gateway.context import Info
from gateway.inputs import Given
from gateway.people.types import KIND, User
from gateway.scalars import checked_text
from heliograph.feed.v1.graph_service_pb2 import (
    BlockRequest,
    FollowRequest,
    UnblockRequest,
    UnfollowRequest,
    UpdateProfileRequest,
)


@strawberry.input(description="What `follow` needs.")
class FollowInput:
    """What `follow` needs."""

    user_id: strawberry.ID = strawberry.field(description="Whom to follow.")


@strawberry.type(description="What `follow` returns.")
class FollowPayload:
    """What `follow` returns."""

    user: User = strawberry.field(description="The person, with the follow counted.")


@strawberry.input(description="What `unfollow` needs.")
class UnfollowInput:
    """What `unfollow` needs."""

    user_id: strawberry.ID = strawberry.field(description="Whom to follow no longer.")


@strawberry.type(description="What `unfollow` returns.")
class UnfollowPayload:
    """What `unfollow` returns."""

    user: User = strawberry.field(description="The person, without the follow.")


@strawberry.input(description="What `block` needs.")
class BlockInput:
    """What `block` needs."""

    user_id: strawberry.ID = strawberry.field(description="Whom to block.")


@strawberry.type(description="What `block` returns.")
class BlockPayload:
    """What `block` returns."""

    blocked_user_id: strawberry.ID = strawberry.field(description="Id of the person who is blocked.")


@strawberry.input(description="What `unblock` needs.")
class UnblockInput:
    """What `unblock` needs."""

    user_id: strawberry.ID = strawberry.field(description="Whose block to lift.")


@strawberry.type(description="What `unblock` returns.")
class UnblockPayload:
    """What `unblock` returns."""

    unblocked_user_id: strawberry.ID = strawberry.field(description="Id of the person who is blocked no longer.")


@strawberry.input(description="What `updateProfile` needs; a field that isn't given is kept.")
class UpdateProfileInput:
    """What `updateProfile` needs."""

    display_name: str | None = strawberry.field(description="New shown name; 1 to 64 characters.", default=None)
    avatar_upload_id: strawberry.ID | None = strawberry.field(
        description="A READY upload of the viewer, of kind AVATAR.", default=None
    )
    remove_avatar: bool = strawberry.field(description="True removes the picture.", default=False)
    idempotency_key: str | None = strawberry.field(
        description="1 to 64 printable ASCII characters, best a UUID; made here when absent.", default=None
    )


@strawberry.type(description="What `updateProfile` returns.")
class UpdateProfilePayload:
    """What `updateProfile` returns."""

    user: User = strawberry.field(description="The profile as it is now.")


@strawberry.type
class PeopleMutations:
    """Fields of `Mutation` about people."""

    @strawberry.mutation(description="Makes the viewer follow a person; again, nothing changes.")
    async def follow(self, info: Info, input: Given[FollowInput]) -> FollowPayload:
        """Follow a person."""
        reply = await info.context.clients.graph.Follow(FollowRequest(user_id=ids.number(KIND, input.user_id)))
        return FollowPayload(user=User(record=reply.user))

    @strawberry.mutation(description="Makes the viewer follow a person no longer; again, nothing changes.")
    async def unfollow(self, info: Info, input: Given[UnfollowInput]) -> UnfollowPayload:
        """Unfollow a person."""
        reply = await info.context.clients.graph.Unfollow(UnfollowRequest(user_id=ids.number(KIND, input.user_id)))
        return UnfollowPayload(user=User(record=reply.user))

    @strawberry.mutation(
        description="Blocks a person: follows between the two end, and neither sees the other's posts."
    )
    async def block(self, info: Info, input: Given[BlockInput]) -> BlockPayload:
        """Block a person."""
        await info.context.clients.graph.Block(BlockRequest(user_id=ids.number(KIND, input.user_id)))
        return BlockPayload(blocked_user_id=input.user_id)

    @strawberry.mutation(description="Lifts a block; follows don't come back by it.")
    async def unblock(self, info: Info, input: Given[UnblockInput]) -> UnblockPayload:
        """Lift a block."""
        await info.context.clients.graph.Unblock(UnblockRequest(user_id=ids.number(KIND, input.user_id)))
        return UnblockPayload(unblocked_user_id=input.user_id)

    @strawberry.mutation(description="Changes the viewer's own profile.")
    async def update_profile(self, info: Info, input: Given[UpdateProfileInput]) -> UpdateProfilePayload:
        """Change the profile."""
        request = UpdateProfileRequest(request_id=checked_text(input.idempotency_key or str(uuid4())))
        if input.display_name is not None:
            request.display_name = checked_text(input.display_name)
        if input.remove_avatar:
            request.avatar_upload_id = ""
        elif input.avatar_upload_id is not None:
            request.avatar_upload_id = ids.uuid("Upload", input.avatar_upload_id)
        reply = await info.context.clients.graph.UpdateProfile(request)
        return UpdateProfilePayload(user=User(record=reply.user))
