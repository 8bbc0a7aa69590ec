"""heliograph.feed.v1.PostService."""

from dataclasses import dataclass

from feed_svc import wire
from feed_svc.domain import PostId, UserId, checked_batch
from feed_svc.servicer.pages import Context, cursors_of, next_page_token, position, viewer
from feed_svc.usecases.create_post import CreatePost
from feed_svc.usecases.delete_post import DeletePost
from feed_svc.usecases.get_posts import GetPosts, ListPostsByAuthor
from feed_svc.usecases.like_post import LikePost, UnlikePost
from feed_svc.wire import Wire
from heliograph.feed.v1 import post_service_pb2, post_service_pb2_grpc
from mesh.cursor import CursorSigner

MAX_POSTS = 100


@dataclass(frozen=True, slots=True)
class PostServicer(post_service_pb2_grpc.PostServiceServicer):
    """heliograph.feed.v1.PostService."""

    create_post: CreatePost
    like_post: LikePost
    unlike_post: UnlikePost
    delete_post: DeletePost
    get_posts: GetPosts
    list_posts_by_author: ListPostsByAuthor
    cursors: CursorSigner
    wire: Wire

    async def CreatePost(
        self, request: post_service_pb2.CreatePostRequest, context: Context
    ) -> post_service_pb2.CreatePostResponse:
        """Publish a photo as a post."""
        view = await self.create_post(
            viewer(),
            upload_id=request.upload_id,
            caption=request.caption,
            alt_text=request.alt_text,
            request_id=request.request_id,
        )
        return post_service_pb2.CreatePostResponse(item=self.wire.feed_item(view))

    async def DeletePost(
        self, request: post_service_pb2.DeletePostRequest, context: Context
    ) -> post_service_pb2.DeletePostResponse:
        """Delete a post."""
        delete_time = await self.delete_post(viewer(), PostId(request.post_id))
        return post_service_pb2.DeletePostResponse(delete_time=wire.timestamp(delete_time))

    async def BatchGetPosts(
        self, request: post_service_pb2.BatchGetPostsRequest, context: Context
    ) -> post_service_pb2.BatchGetPostsResponse:
        """Look posts up."""
        post_ids = [PostId(post_id) for post_id in checked_batch(request.post_ids, limit=MAX_POSTS)]
        found = await self.get_posts(viewer(), post_ids)
        return post_service_pb2.BatchGetPostsResponse(
            results=[
                post_service_pb2.PostLookup(
                    post_id=post_id,
                    found=post_id in found,
                    item=self.wire.feed_item(found[post_id]) if post_id in found else None,
                )
                for post_id in post_ids
            ]
        )

    async def ListPostsByAuthor(
        self, request: post_service_pb2.ListPostsByAuthorRequest, context: Context
    ) -> post_service_pb2.ListPostsByAuthorResponse:
        """List a person's posts."""
        person = viewer()
        scope = f"author:{person}:{request.author_id}"
        page = await self.list_posts_by_author(
            person,
            UserId(request.author_id),
            page_size=request.page_size,
            before=position(self.cursors, scope, request.page_token),
        )
        return post_service_pb2.ListPostsByAuthorResponse(
            items=[self.wire.feed_item(view) for view in page.views],
            next_page_token=next_page_token(self.cursors, scope, page),
            cursors=cursors_of(self.cursors, scope, page) if request.include_cursors else (),
        )

    async def LikePost(
        self, request: post_service_pb2.LikePostRequest, context: Context
    ) -> post_service_pb2.LikePostResponse:
        """Like a post."""
        view = await self.like_post(viewer(), PostId(request.post_id))
        return post_service_pb2.LikePostResponse(item=self.wire.feed_item(view))

    async def UnlikePost(
        self, request: post_service_pb2.UnlikePostRequest, context: Context
    ) -> post_service_pb2.UnlikePostResponse:
        """Take a like back."""
        view = await self.unlike_post(viewer(), PostId(request.post_id))
        return post_service_pb2.UnlikePostResponse(item=self.wire.feed_item(view))
