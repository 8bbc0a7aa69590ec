"""Mutations of posts and likes."""

import strawberry

from gateway import ids
from gateway.context import Info
from gateway.inputs import Given
from gateway.posts.types import KIND, Post
from gateway.scalars import checked_text
from heliograph.feed.v1.post_service_pb2 import (
    CreatePostRequest,
    DeletePostRequest,
    LikePostRequest,
    UnlikePostRequest,
)


@strawberry.input(description="What `createPost` needs.")
class CreatePostInput:
    """What `createPost` needs."""

    upload_id: strawberry.ID = strawberry.field(description="A READY upload of the viewer, of kind POST.")
    idempotency_key: str = strawberry.field(
        description="1 to 64 printable ASCII characters, best a UUID; the same key returns the first post, for ever."
    )
    caption: str = strawberry.field(description="At most 2200 characters.", default="")
    alt_text: str | None = strawberry.field(
        description="Description for those who can't see the photo; at most 1000 characters.", default=None
    )


@strawberry.type(description="What `createPost` returns.")
class CreatePostPayload:
    """What `createPost` returns."""

    post: Post = strawberry.field(description="The post, new or from the first call with this key.")


@strawberry.input(description="What `deletePost` needs.")
class DeletePostInput:
    """What `deletePost` needs."""

    post_id: strawberry.ID = strawberry.field(description="A post of the viewer.")


@strawberry.type(description="What `deletePost` returns.")
class DeletePostPayload:
    """What `deletePost` returns."""

    deleted_post_id: strawberry.ID = strawberry.field(description="Id of the post that is gone.")


@strawberry.input(description="What `likePost` needs.")
class LikePostInput:
    """What `likePost` needs."""

    post_id: strawberry.ID = strawberry.field(description="The post to like.")


@strawberry.type(description="What `likePost` returns.")
class LikePostPayload:
    """What `likePost` returns."""

    post: Post = strawberry.field(description="The post, with the viewer's like counted.")


@strawberry.input(description="What `unlikePost` needs.")
class UnlikePostInput:
    """What `unlikePost` needs."""

    post_id: strawberry.ID = strawberry.field(description="The post to like no longer.")


@strawberry.type(description="What `unlikePost` returns.")
class UnlikePostPayload:
    """What `unlikePost` returns."""

    post: Post = strawberry.field(description="The post, without the viewer's like.")


@strawberry.type
class PostMutations:
    """Fields of `Mutation` about posts."""

    @strawberry.mutation(description="Publishes an uploaded photo as a post.")
    async def create_post(self, info: Info, input: Given[CreatePostInput]) -> CreatePostPayload:
        """Create a post."""
        request = CreatePostRequest(
            upload_id=ids.uuid("Upload", input.upload_id),
            caption=checked_text(input.caption),
            alt_text=checked_text(input.alt_text or ""),
            request_id=checked_text(input.idempotency_key),
        )
        reply = await info.context.clients.posts.CreatePost(request)
        return CreatePostPayload(post=Post(item=reply.item))

    @strawberry.mutation(description="Deletes a post of the viewer; deleting it again succeeds.")
    async def delete_post(self, info: Info, input: Given[DeletePostInput]) -> DeletePostPayload:
        """Delete a post."""
        request = DeletePostRequest(post_id=ids.number(KIND, input.post_id))
        await info.context.clients.posts.DeletePost(request)
        return DeletePostPayload(deleted_post_id=input.post_id)

    @strawberry.mutation(description="Likes a post; liking it again changes nothing.")
    async def like_post(self, info: Info, input: Given[LikePostInput]) -> LikePostPayload:
        """Like a post."""
        request = LikePostRequest(post_id=ids.number(KIND, input.post_id))
        reply = await info.context.clients.posts.LikePost(request)
        return LikePostPayload(post=Post(item=reply.item))

    @strawberry.mutation(description="Takes a like back; without a like nothing changes.")
    async def unlike_post(self, info: Info, input: Given[UnlikePostInput]) -> UnlikePostPayload:
        """Take a like back."""
        request = UnlikePostRequest(post_id=ids.number(KIND, input.post_id))
        reply = await info.context.clients.posts.UnlikePost(request)
        return UnlikePostPayload(post=Post(item=reply.item))
