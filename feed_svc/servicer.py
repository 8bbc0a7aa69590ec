"""gRPC in, use case, gRPC out: no rule, no SQL, no try."""

from dataclasses import dataclass
from typing import Any

from feed_svc import wire
from feed_svc.domain import FIRST_POSITION, Followee, Page, PostId, UserId, checked_batch
from feed_svc.usecases.block_user import BlockUser, UnblockUser
from feed_svc.usecases.check_relations import CheckRelations
from feed_svc.usecases.create_post import CreatePost
from feed_svc.usecases.delete_post import DeletePost
from feed_svc.usecases.follow_user import FollowUser, UnfollowUser
from feed_svc.usecases.get_home_feed import GetHomeFeed
from feed_svc.usecases.get_posts import GetPosts, ListPostsByAuthor
from feed_svc.usecases.get_users import GetUserByUsername, GetUsers
from feed_svc.usecases.list_edges import NEWEST, ListFollowees, ListFollowers
from feed_svc.usecases.upsert_user import UpsertUser
from feed_svc.wire import Wire
from heliograph.feed.v1 import (
    feed_service_pb2,
    feed_service_pb2_grpc,
    graph_service_pb2,
    graph_service_pb2_grpc,
    post_service_pb2,
    post_service_pb2_grpc,
    relation_pb2,
)
from mesh import auth
from mesh.clock import from_us, to_us
from mesh.cursor import CursorSigner

Context = Any
GATEWAY = "gateway"
MAX_POSTS = 100
MAX_USERS = 500
MAX_PAIRS = 1_000


def _viewer() -> UserId:
    return UserId(auth.viewer_id())


def _viewer_or_none() -> UserId | None:
    viewer = auth.current_viewer()
    return UserId(viewer.user_id) if viewer else None


@dataclass(frozen=True, slots=True)
class PostServicer(post_service_pb2_grpc.PostServiceServicer):
    """heliograph.feed.v1.PostService."""

    create_post: CreatePost
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
            _viewer(),
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
        delete_time = await self.delete_post(_viewer(), PostId(request.post_id))
        return post_service_pb2.DeletePostResponse(delete_time=wire.timestamp(delete_time))

    async def BatchGetPosts(
        self, request: post_service_pb2.BatchGetPostsRequest, context: Context
    ) -> post_service_pb2.BatchGetPostsResponse:
        """Look posts up."""
        post_ids = [PostId(post_id) for post_id in checked_batch(request.post_ids, limit=MAX_POSTS)]
        found = await self.get_posts(_viewer(), post_ids)
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
        viewer = _viewer()
        scope = f"author:{viewer}:{request.author_id}"
        page = await self.list_posts_by_author(
            viewer,
            UserId(request.author_id),
            page_size=request.page_size,
            before=_position(self.cursors, scope, request.page_token),
        )
        return post_service_pb2.ListPostsByAuthorResponse(
            items=[self.wire.feed_item(view) for view in page.views],
            next_page_token=_next_page_token(self.cursors, scope, page),
            cursors=_cursors(self.cursors, scope, page) if request.include_cursors else (),
        )


@dataclass(frozen=True, slots=True)
class FeedServicer(feed_service_pb2_grpc.FeedServiceServicer):
    """heliograph.feed.v1.FeedService."""

    get_home_feed: GetHomeFeed
    cursors: CursorSigner
    wire: Wire

    async def GetHomeFeed(
        self, request: feed_service_pb2.GetHomeFeedRequest, context: Context
    ) -> feed_service_pb2.GetHomeFeedResponse:
        """Read the home feed."""
        viewer = _viewer()
        scope = f"home:{viewer}"
        page = await self.get_home_feed(
            viewer, page_size=request.page_size, before=_position(self.cursors, scope, request.page_token)
        )
        return feed_service_pb2.GetHomeFeedResponse(
            items=[self.wire.feed_item(view) for view in page.views],
            next_page_token=_next_page_token(self.cursors, scope, page),
            cursors=_cursors(self.cursors, scope, page) if request.include_cursors else (),
        )


@dataclass(frozen=True, slots=True)
class GraphServicer(graph_service_pb2_grpc.GraphServiceServicer):
    """heliograph.feed.v1.GraphService."""

    upsert_user: UpsertUser
    get_users: GetUsers
    get_user_by_username: GetUserByUsername
    follow_user: FollowUser
    unfollow_user: UnfollowUser
    block_user: BlockUser
    unblock_user: UnblockUser
    list_followees: ListFollowees
    list_followers: ListFollowers
    check_relations: CheckRelations
    cursors: CursorSigner

    async def UpsertUser(
        self, request: graph_service_pb2.UpsertUserRequest, context: Context
    ) -> graph_service_pb2.UpsertUserResponse:
        """Make a person known."""
        user_id = UserId(request.user_id) if request.HasField("user_id") else None
        user, is_new = await self.upsert_user(user_id, request.username, request.display_name)
        return graph_service_pb2.UpsertUserResponse(user=wire.user(user), is_new=is_new)

    async def BatchGetUsers(
        self, request: graph_service_pb2.BatchGetUsersRequest, context: Context
    ) -> graph_service_pb2.BatchGetUsersResponse:
        """Look people up."""
        user_ids = [UserId(user_id) for user_id in checked_batch(request.user_ids, limit=MAX_USERS)]
        found = await self.get_users(user_ids, viewer=_viewer_or_none())
        return graph_service_pb2.BatchGetUsersResponse(
            results=[
                graph_service_pb2.UserLookup(
                    user_id=user_id,
                    found=user_id in found,
                    user=wire.user(found[user_id]) if user_id in found else None,
                )
                for user_id in user_ids
            ]
        )

    async def GetUserByUsername(
        self, request: graph_service_pb2.GetUserByUsernameRequest, context: Context
    ) -> graph_service_pb2.GetUserByUsernameResponse:
        """Look a person up by name."""
        user = await self.get_user_by_username(request.username, viewer=_viewer_or_none())
        return graph_service_pb2.GetUserByUsernameResponse(user=wire.user(user))

    async def Follow(
        self, request: graph_service_pb2.FollowRequest, context: Context
    ) -> graph_service_pb2.FollowResponse:
        """Follow a person."""
        user = await self.follow_user(_viewer(), UserId(request.user_id))
        return graph_service_pb2.FollowResponse(user=wire.user(user))

    async def Unfollow(
        self, request: graph_service_pb2.UnfollowRequest, context: Context
    ) -> graph_service_pb2.UnfollowResponse:
        """Follow a person no longer."""
        user = await self.unfollow_user(_viewer(), UserId(request.user_id))
        return graph_service_pb2.UnfollowResponse(user=wire.user(user))

    async def Block(self, request: graph_service_pb2.BlockRequest, context: Context) -> graph_service_pb2.BlockResponse:
        """Block a person."""
        block_time = await self.block_user(_viewer(), UserId(request.user_id))
        return graph_service_pb2.BlockResponse(block_time=wire.timestamp(block_time))

    async def Unblock(
        self, request: graph_service_pb2.UnblockRequest, context: Context
    ) -> graph_service_pb2.UnblockResponse:
        """Lift a block."""
        await self.unblock_user(_viewer(), UserId(request.user_id))
        return graph_service_pb2.UnblockResponse()

    async def ListFollowees(
        self, request: graph_service_pb2.ListFolloweesRequest, context: Context
    ) -> graph_service_pb2.ListFolloweesResponse:
        """List whom a person follows."""
        scope = f"followees:{request.user_id}"
        before = NEWEST
        if request.page_token:
            time_us, user_id = self.cursors.decode_ints(scope, request.page_token, 2)
            before = Followee(UserId(user_id), from_us(time_us))
        found, has_more = await self.list_followees(
            _viewer_or_none(), UserId(request.user_id), page_size=request.page_size, before=before
        )
        return graph_service_pb2.ListFolloweesResponse(
            user_ids=[one.user_id for one in found],
            next_page_token=self.cursors.encode(scope, to_us(found[-1].create_time), found[-1].user_id)
            if has_more
            else "",
        )

    async def ListFollowers(
        self, request: graph_service_pb2.ListFollowersRequest, context: Context
    ) -> graph_service_pb2.ListFollowersResponse:
        """List who follows a person."""
        scope = f"followers:{request.user_id}"
        after = self.cursors.decode_ints(scope, request.page_token, 1)[0] if request.page_token else 0
        found, has_more = await self.list_followers(
            _viewer_or_none(), UserId(request.user_id), page_size=request.page_size, after=after
        )
        return graph_service_pb2.ListFollowersResponse(
            user_ids=found, next_page_token=self.cursors.encode(scope, found[-1]) if has_more else ""
        )

    async def CheckRelations(
        self, request: graph_service_pb2.CheckRelationsRequest, context: Context
    ) -> graph_service_pb2.CheckRelationsResponse:
        """Say how pairs of people stand to one another."""
        checked_batch(range(len(request.pairs)), limit=MAX_PAIRS)
        pairs = [(UserId(pair.subject_id), UserId(pair.object_id)) for pair in request.pairs]
        asked_by_person = UserId(auth.viewer_id()) if auth.caller.get() == GATEWAY else None
        relations = await self.check_relations(pairs, asked_by_person=asked_by_person)
        return graph_service_pb2.CheckRelationsResponse(
            relations=[
                relation_pb2.Relation(
                    subject_id=one.subject_id,
                    object_id=one.object_id,
                    object_exists=one.object_exists,
                    follows=one.follows,
                    is_followed_by=one.is_followed_by,
                    blocks=one.blocks,
                    is_blocked_by=one.is_blocked_by,
                )
                for one in relations
            ]
        )


def _position(cursors: CursorSigner, scope: str, page_token: str) -> PostId:
    return PostId(cursors.decode_ints(scope, page_token, 1)[0]) if page_token else FIRST_POSITION


def _next_page_token(cursors: CursorSigner, scope: str, page: Page) -> str:
    return cursors.encode(scope, page.next_before) if page.next_before is not None else ""


def _cursors(cursors: CursorSigner, scope: str, page: Page) -> list[str]:
    return [cursors.encode(scope, view.post.post_id) for view in page.views]
