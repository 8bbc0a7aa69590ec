"""heliograph.feed.v1.GraphService."""

from dataclasses import dataclass

from feed_svc import wire
from feed_svc.domain import UserId, checked_batch
from feed_svc.servicer.pages import GATEWAY, Context, edge, edge_token, viewer, viewer_or_none
from feed_svc.usecases.block_user import BlockUser, UnblockUser
from feed_svc.usecases.check_relations import CheckRelations
from feed_svc.usecases.follow_user import FollowUser, UnfollowUser
from feed_svc.usecases.get_users import GetUserByUsername, GetUsers
from feed_svc.usecases.list_people import ListBlockedUsers, ListFollowees, ListFollowers
from feed_svc.usecases.update_profile import UpdateProfile
from feed_svc.usecases.upsert_user import UpsertUser
from feed_svc.wire import Wire
from heliograph.feed.v1 import graph_service_pb2, graph_service_pb2_grpc, relation_pb2
from mesh import auth
from mesh.cursor import CursorSigner

MAX_USERS = 500
MAX_PAIRS = 1_000


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
    list_blocked_users: ListBlockedUsers
    update_profile: UpdateProfile
    cursors: CursorSigner
    wire: Wire

    async def UpsertUser(
        self, request: graph_service_pb2.UpsertUserRequest, context: Context
    ) -> graph_service_pb2.UpsertUserResponse:
        """Make a person known."""
        user_id = UserId(request.user_id) if request.HasField("user_id") else None
        user, is_new = await self.upsert_user(user_id, request.username, request.display_name)
        return graph_service_pb2.UpsertUserResponse(user=self.wire.user(user), is_new=is_new)

    async def BatchGetUsers(
        self, request: graph_service_pb2.BatchGetUsersRequest, context: Context
    ) -> graph_service_pb2.BatchGetUsersResponse:
        """Look people up."""
        user_ids = [UserId(user_id) for user_id in checked_batch(request.user_ids, limit=MAX_USERS)]
        found = await self.get_users(user_ids, viewer=viewer_or_none())
        return graph_service_pb2.BatchGetUsersResponse(
            results=[
                graph_service_pb2.UserLookup(
                    user_id=user_id,
                    found=user_id in found,
                    user=self.wire.user(found[user_id]) if user_id in found else None,
                )
                for user_id in user_ids
            ]
        )

    async def GetUserByUsername(
        self, request: graph_service_pb2.GetUserByUsernameRequest, context: Context
    ) -> graph_service_pb2.GetUserByUsernameResponse:
        """Look a person up by name."""
        user = await self.get_user_by_username(request.username, viewer=viewer_or_none())
        return graph_service_pb2.GetUserByUsernameResponse(user=self.wire.user(user))

    async def Follow(
        self, request: graph_service_pb2.FollowRequest, context: Context
    ) -> graph_service_pb2.FollowResponse:
        """Follow a person."""
        user = await self.follow_user(viewer(), UserId(request.user_id))
        return graph_service_pb2.FollowResponse(user=self.wire.user(user))

    async def Unfollow(
        self, request: graph_service_pb2.UnfollowRequest, context: Context
    ) -> graph_service_pb2.UnfollowResponse:
        """Follow a person no longer."""
        user = await self.unfollow_user(viewer(), UserId(request.user_id))
        return graph_service_pb2.UnfollowResponse(user=self.wire.user(user))

    async def Block(self, request: graph_service_pb2.BlockRequest, context: Context) -> graph_service_pb2.BlockResponse:
        """Block a person."""
        block_time = await self.block_user(viewer(), UserId(request.user_id))
        return graph_service_pb2.BlockResponse(block_time=wire.timestamp(block_time))

    async def Unblock(
        self, request: graph_service_pb2.UnblockRequest, context: Context
    ) -> graph_service_pb2.UnblockResponse:
        """Lift a block."""
        await self.unblock_user(viewer(), UserId(request.user_id))
        return graph_service_pb2.UnblockResponse()

    async def ListFollowees(
        self, request: graph_service_pb2.ListFolloweesRequest, context: Context
    ) -> graph_service_pb2.ListFolloweesResponse:
        """List whom a person follows."""
        scope = f"followees:{viewer_or_none()}:{request.user_id}"
        found, has_more = await self.list_followees(
            viewer_or_none(),
            UserId(request.user_id),
            page_size=request.page_size,
            before=edge(self.cursors, scope, request.page_token),
        )
        return graph_service_pb2.ListFolloweesResponse(
            user_ids=[one.user_id for one in found],
            next_page_token=edge_token(self.cursors, scope, found[-1]) if has_more else "",
        )

    async def ListFollowers(
        self, request: graph_service_pb2.ListFollowersRequest, context: Context
    ) -> graph_service_pb2.ListFollowersResponse:
        """List who follows a person."""
        scope = f"followers:{viewer_or_none()}:{request.user_id}"
        after = self.cursors.decode_ints(scope, request.page_token, 1)[0] if request.page_token else 0
        found, has_more = await self.list_followers(
            viewer_or_none(), UserId(request.user_id), page_size=request.page_size, after=after
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
        asked_by_person = viewer() if auth.caller.get() == GATEWAY else None
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

    async def UpdateProfile(
        self, request: graph_service_pb2.UpdateProfileRequest, context: Context
    ) -> graph_service_pb2.UpdateProfileResponse:
        """Change one's own profile."""
        user = await self.update_profile(
            viewer(),
            display_name=request.display_name if request.HasField("display_name") else None,
            avatar_upload_id=request.avatar_upload_id if request.HasField("avatar_upload_id") else None,
            request_id=request.request_id,
        )
        return graph_service_pb2.UpdateProfileResponse(user=self.wire.user(user))

    async def ListBlockedUsers(
        self, request: graph_service_pb2.ListBlockedUsersRequest, context: Context
    ) -> graph_service_pb2.ListBlockedUsersResponse:
        """List whom the viewer has blocked."""
        person = viewer()
        scope = f"blocked:{person}"
        found, has_more = await self.list_blocked_users(
            person, page_size=request.page_size, before=edge(self.cursors, scope, request.page_token)
        )
        return graph_service_pb2.ListBlockedUsersResponse(
            user_ids=[one.user_id for one in found],
            next_page_token=edge_token(self.cursors, scope, found[-1]) if has_more else "",
        )
