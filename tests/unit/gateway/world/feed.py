"""feed_svc, as its protos promise."""

from typing import Any

from heliograph.feed.v1 import (
    feed_item_pb2,
    feed_service_pb2,
    graph_service_pb2,
    post_service_pb2,
    relation_pb2,
    user_pb2,
)
from mesh import auth
from mesh.errors import InvalidArgument, NotFound
from tests.unit.gateway.world.media import MediaWorld
from tests.unit.gateway.world.records import error


class FeedWorld(MediaWorld):
    """Its RPCs; posts take uploads."""

    def summary(self, user_id: int) -> user_pb2.UserSummary:
        user = self.users[user_id]
        return user_pb2.UserSummary(
            user_id=user_id,
            username=user.username,
            display_name=user.display_name,
            avatar=user.avatar if user.HasField("avatar") else None,
        )

    def visible(self, user_id: int) -> bool:
        return user_id in self.users and (user_id, auth.viewer_id()) not in self.blocks

    def item(self, post_id: int) -> feed_item_pb2.FeedItem:
        return feed_item_pb2.FeedItem(
            post=self.posts[post_id],
            like_count=sum(1 for _, liked in self.likes if liked == post_id),
            viewer_has_liked=(auth.viewer_id(), post_id) in self.likes,
        )

    def _page(self, request: Any, ids: list[int], reply: Any) -> Any:
        size = request.page_size or 20
        if request.page_token and not request.page_token.isdigit():
            raise error(InvalidArgument, "PAGE_TOKEN_INVALID")
        start = int(request.page_token or 0)
        chosen = ids[start : start + size]
        reply.items.extend(self.item(post_id) for post_id in chosen)
        if start + size < len(ids):
            reply.next_page_token = str(start + size)
        if request.include_cursors:
            reply.cursors.extend(str(start + index + 1) for index in range(len(chosen)))
        return reply

    def GetHomeFeed(self, request: feed_service_pb2.GetHomeFeedRequest) -> feed_service_pb2.GetHomeFeedResponse:
        me = auth.viewer_id()
        ids = [
            post_id
            for post_id, post in sorted(self.posts.items(), reverse=True)
            if post.author.user_id == me or (me, post.author.user_id) in self.follows
        ]
        return self._page(request, ids, feed_service_pb2.GetHomeFeedResponse(is_stale=self.is_stale))

    def ListPostsByAuthor(self, request: post_service_pb2.ListPostsByAuthorRequest) -> Any:
        if not self.visible(request.author_id):
            raise error(NotFound, "USER_NOT_FOUND")
        ids = [p for p, post in sorted(self.posts.items(), reverse=True) if post.author.user_id == request.author_id]
        return self._page(request, ids, post_service_pb2.ListPostsByAuthorResponse())

    def BatchGetPosts(self, request: post_service_pb2.BatchGetPostsRequest) -> Any:
        return post_service_pb2.BatchGetPostsResponse(
            results=[
                post_service_pb2.PostLookup(
                    post_id=post_id,
                    found=self._can_see(post_id),
                    item=self.item(post_id) if self._can_see(post_id) else None,
                )
                for post_id in request.post_ids
            ]
        )

    def _can_see(self, post_id: int) -> bool:
        return post_id in self.posts and self.visible(self.posts[post_id].author.user_id)

    def _seen_item(self, post_id: int) -> feed_item_pb2.FeedItem:
        if not self._can_see(post_id):
            raise error(NotFound, "POST_NOT_FOUND")
        return self.item(post_id)

    def CreatePost(self, request: post_service_pb2.CreatePostRequest) -> Any:
        if len(request.caption) > 2200:
            raise error(InvalidArgument, "CAPTION_TOO_LONG")
        self._own_upload(request.upload_id)
        post_id = max(self.posts, default=100) + 1
        self.post(post_id, auth.viewer_id(), request.caption, request.alt_text)
        return post_service_pb2.CreatePostResponse(item=self.item(post_id))

    def DeletePost(self, request: post_service_pb2.DeletePostRequest) -> Any:
        post = self.posts.get(request.post_id)
        if post is None or post.author.user_id != auth.viewer_id():
            raise error(NotFound, "POST_NOT_FOUND")
        del self.posts[request.post_id]
        return post_service_pb2.DeletePostResponse()

    def LikePost(self, request: post_service_pb2.LikePostRequest) -> Any:
        self._seen_item(request.post_id)
        self.likes.add((auth.viewer_id(), request.post_id))
        return post_service_pb2.LikePostResponse(item=self.item(request.post_id))

    def UnlikePost(self, request: post_service_pb2.UnlikePostRequest) -> Any:
        self._seen_item(request.post_id)
        self.likes.discard((auth.viewer_id(), request.post_id))
        return post_service_pb2.UnlikePostResponse(item=self.item(request.post_id))

    def BatchGetUsers(self, request: graph_service_pb2.BatchGetUsersRequest) -> Any:
        return graph_service_pb2.BatchGetUsersResponse(
            results=[
                graph_service_pb2.UserLookup(
                    user_id=one, found=self.visible(one), user=self.users[one] if self.visible(one) else None
                )
                for one in request.user_ids
            ]
        )

    def _user(self, user_id: int) -> user_pb2.User:
        if not self.visible(user_id):
            raise error(NotFound, "USER_NOT_FOUND")
        return self.users[user_id]

    def _somebody_else(self, user_id: int) -> user_pb2.User:
        if user_id == auth.viewer_id():
            raise error(InvalidArgument, "CANNOT_FOLLOW_SELF")
        return self._user(user_id)

    def GetUserByUsername(self, request: graph_service_pb2.GetUserByUsernameRequest) -> Any:
        for user in self.users.values():
            if user.username == request.username.lower():
                return graph_service_pb2.GetUserByUsernameResponse(user=self._user(user.user_id))
        raise error(NotFound, "USER_NOT_FOUND")

    def CheckRelations(self, request: graph_service_pb2.CheckRelationsRequest) -> Any:
        return graph_service_pb2.CheckRelationsResponse(
            relations=[
                relation_pb2.Relation(
                    subject_id=one.subject_id,
                    object_id=one.object_id,
                    object_exists=self.visible(one.object_id),
                    follows=(one.subject_id, one.object_id) in self.follows,
                )
                for one in request.pairs
            ]
        )

    def Follow(self, request: graph_service_pb2.FollowRequest) -> Any:
        user = self._somebody_else(request.user_id)
        self.follows.add((auth.viewer_id(), request.user_id))
        return graph_service_pb2.FollowResponse(user=user)

    def Unfollow(self, request: graph_service_pb2.UnfollowRequest) -> Any:
        user = self._user(request.user_id)
        self.follows.discard((auth.viewer_id(), request.user_id))
        return graph_service_pb2.UnfollowResponse(user=user)

    def Block(self, request: graph_service_pb2.BlockRequest) -> Any:
        if request.user_id == auth.viewer_id():
            raise error(InvalidArgument, "CANNOT_BLOCK_SELF")
        if request.user_id not in self.users:
            raise error(NotFound, "USER_NOT_FOUND")
        self.blocks.add((auth.viewer_id(), request.user_id))
        return graph_service_pb2.BlockResponse()

    def Unblock(self, request: graph_service_pb2.UnblockRequest) -> Any:
        if request.user_id not in self.users:
            raise error(NotFound, "USER_NOT_FOUND")
        self.blocks.discard((auth.viewer_id(), request.user_id))
        return graph_service_pb2.UnblockResponse()

    def UpdateProfile(self, request: graph_service_pb2.UpdateProfileRequest) -> Any:
        user = self.users[auth.viewer_id()]
        if request.HasField("display_name"):
            user.display_name = request.display_name
        if request.HasField("avatar_upload_id") and not request.avatar_upload_id:
            user.ClearField("avatar")
        return graph_service_pb2.UpdateProfileResponse(user=user)
