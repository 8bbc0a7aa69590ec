"""A small world behind the gateway: every RPC that it calls, on data in memory, for tests.

`World` answers as the services promise in their protos. `clients(world)` are stubs that call it directly; each request
and reply travels as bytes, as it would over gRPC.
"""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.clients import Clients
from heliograph.dm.v1 import (
    conversation_pb2,
    inbox_pb2,
    inbox_service_pb2,
    message_pb2,
    message_service_pb2,
    message_settings_pb2,
)
from heliograph.feed.v1 import (
    feed_item_pb2,
    feed_service_pb2,
    graph_service_pb2,
    post_pb2,
    post_service_pb2,
    relation_pb2,
    user_pb2,
)
from heliograph.feed.v1.feed_item_view_pb2 import GetHomeFeedResponseView
from heliograph.media.v1 import media_pb2, media_service_pb2, upload_pb2
from heliograph.story.v1 import story_pb2, story_service_pb2
from mesh import auth
from mesh.errors import FailedPrecondition, HeliographError, InvalidArgument, NotFound

START = datetime(2026, 7, 14, 9, 30, tzinfo=UTC)
BASE = "http://photos.example/heliograph-photos/ab/abcdef/"


def error(kind: type[HeliographError], reason: str) -> HeliographError:
    return kind.received(reason=reason, message=reason.lower().replace("_", " "), metadata={})


def photo(name: str, *, base: str = BASE, presigned: str = "") -> media_pb2.Photo:
    """A photo with three widths and a square, each in two formats."""
    variants = []
    for width, square in ((1080, False), (640, False), (320, False), (150, True)):
        for form, suffix in ((media_pb2.IMAGE_FORMAT_WEBP, "webp"), (media_pb2.IMAGE_FORMAT_JPEG, "jpg")):
            file = f"{'square-' if square else ''}{width}.{suffix}"
            variants.append(
                media_pb2.PhotoVariant(
                    url=f"{presigned}{name}/{file}?signature=x" if presigned else file,
                    width=width,
                    height=width if square else width * 3 // 4,
                    format=form,
                    size_bytes=width * 100,
                    is_square=square,
                )
            )
    return media_pb2.Photo(
        base_url="" if presigned else base,
        variants=variants,
        blurhash="LEHV6nWB2yk8pyo0adR*.7kCMdnj",
        dominant_colour="#a0b0c0",
        width=1080,
        height=810,
    )


class World:
    """The data and the RPCs."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int | None]] = []
        self.failing: dict[str, HeliographError] = {}
        self.slow: dict[str, float] = {}
        self.users: dict[int, user_pb2.User] = {}
        self.follows: set[tuple[int, int]] = set()
        self.blocks: set[tuple[int, int]] = set()
        self.posts: dict[int, post_pb2.Post] = {}
        self.likes: set[tuple[int, int]] = set()
        self.stories: dict[int, story_pb2.Story] = {}
        self.seen: set[tuple[int, int]] = set()
        self.messages: dict[str, list[message_pb2.Message]] = defaultdict(list)
        self.read: dict[tuple[str, int], int] = defaultdict(int)
        self.requests: set[tuple[str, int]] = set()
        self.inboxes: dict[int, list[inbox_pb2.InboxEntry]] = defaultdict(list)
        self.oldest_kept: dict[int, int] = defaultdict(int)
        self.uploads: dict[str, upload_pb2.Upload] = {}
        self.settings: dict[int, int] = {}
        self.is_stale = False

    # Setting up

    def person(self, user_id: int, username: str, *, avatar: bool = True) -> user_pb2.User:
        user = user_pb2.User(
            user_id=user_id,
            username=username,
            display_name=username.title(),
            follower_count=user_id,
            following_count=2,
            post_count=3,
        )
        user.create_time.FromDatetime(START)
        if avatar:
            user.avatar.CopyFrom(photo(username))
        self.users[user_id] = user
        return user

    def post(self, post_id: int, author_id: int, caption: str = "", alt_text: str = "") -> post_pb2.Post:
        record = post_pb2.Post(
            post_id=post_id,
            author=self.summary(author_id),
            photo=photo(str(post_id)),
            caption=caption,
            alt_text=alt_text,
        )
        record.create_time.FromDatetime(START + timedelta(milliseconds=post_id))
        self.posts[post_id] = record
        return record

    def story(self, story_id: int, author_id: int) -> story_pb2.Story:
        record = story_pb2.Story(
            story_id=story_id, author_id=author_id, photo=photo(str(story_id), presigned="http://private.example/")
        )
        record.create_time.FromDatetime(START)
        record.expire_time.FromDatetime(START + timedelta(hours=24))
        self.stories[story_id] = record
        return record

    def upload(self, upload_id: str, owner_id: int, kind: int = upload_pb2.UPLOAD_KIND_POST) -> upload_pb2.Upload:
        upload = upload_pb2.Upload(
            upload_id=upload_id,
            owner_id=owner_id,
            kind=kind,
            status=upload_pb2.UPLOAD_STATUS_READY,
            content_type="image/jpeg",
            size_bytes=1000,
            photo=photo("up"),
        )
        upload.create_time.FromDatetime(START)
        upload.expire_time.FromDatetime(START + timedelta(minutes=5))
        self.uploads[upload_id] = upload
        return upload

    def say(self, sender_id: int, recipient_id: int, content: str, message_id: str) -> message_pb2.Message:
        """Send a message: into the conversation and both inboxes."""
        conversation_id = pair(sender_id, recipient_id)
        log = self.messages[conversation_id]
        for known in log:
            if known.message_id == message_id:
                return known
        message = message_pb2.Message(
            message_id=message_id,
            conversation_id=conversation_id,
            number=len(log) + 1,
            sender_id=sender_id,
            content=content,
        )
        message.send_time.FromDatetime(START + timedelta(seconds=len(log)))
        log.append(message)
        for user_id in (sender_id, recipient_id):
            self.enter(user_id, conversation_id, message_received=message)
        return message

    def enter(self, user_id: int, conversation_id: str, **event: Any) -> inbox_pb2.InboxEntry:
        entry = inbox_pb2.InboxEntry(useq=len(self.inboxes[user_id]) + 1, conversation_id=conversation_id, **event)
        entry.commit_time.FromDatetime(START)
        self.inboxes[user_id].append(entry)
        return entry

    # What the tests look at

    def count(self, method: str) -> int:
        return sum(1 for name, _ in self.calls if name == method)

    async def call(self, method: str, request: Any) -> Any:
        person = auth.current_viewer()
        self.calls.append((method, person.user_id if person else None))
        if method in self.slow:
            await asyncio.sleep(self.slow[method])
        if method in self.failing:
            raise self.failing[method]
        return getattr(self, method)(request)

    # feed_svc

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

    # story_svc

    def _story_for(self, story_id: int) -> story_pb2.Story | None:
        record, me = self.stories.get(story_id), auth.viewer_id()
        if record is None or (record.author_id != me and (me, record.author_id) not in self.follows):
            return None
        shown = story_pb2.Story()
        shown.CopyFrom(record)
        shown.viewer_has_seen = record.author_id == me or (me, story_id) in self.seen
        return shown

    def GetStoryTray(self, request: story_service_pb2.GetStoryTrayRequest) -> Any:
        reels: dict[int, list[story_pb2.Story]] = defaultdict(list)
        for story_id in sorted(self.stories):
            if (shown := self._story_for(story_id)) is not None:
                reels[shown.author_id].append(shown)
        return story_service_pb2.GetStoryTrayResponse(
            reels=[
                story_pb2.StoryReel(
                    author=self.summary(author),
                    has_unseen=not all(one.viewer_has_seen for one in stories),
                    stories=stories,
                )
                for author, stories in reels.items()
            ][: request.page_size or 50]
        )

    def ListStories(self, request: story_service_pb2.ListStoriesRequest) -> Any:
        self._user(request.user_id)
        shown = [self._story_for(one) for one in sorted(self.stories)]
        return story_service_pb2.ListStoriesResponse(
            stories=[one for one in shown if one and one.author_id == request.user_id]
        )

    def BatchGetStories(self, request: story_service_pb2.BatchGetStoriesRequest) -> Any:
        return story_service_pb2.BatchGetStoriesResponse(
            results=[
                story_service_pb2.StoryLookup(
                    story_id=one, found=self._story_for(one) is not None, story=self._story_for(one)
                )
                for one in request.story_ids
            ]
        )

    def PublishStory(self, request: story_service_pb2.PublishStoryRequest) -> Any:
        self._own_upload(request.upload_id)
        story_id = max(self.stories, default=900) + 1
        return story_service_pb2.PublishStoryResponse(story=self.story(story_id, auth.viewer_id()))

    def DeleteStory(self, request: story_service_pb2.DeleteStoryRequest) -> Any:
        story = self.stories.get(request.story_id)
        if story is None or story.author_id != auth.viewer_id():
            raise error(NotFound, "STORY_NOT_FOUND")
        del self.stories[request.story_id]
        return story_service_pb2.DeleteStoryResponse()

    def MarkSeen(self, request: story_service_pb2.MarkSeenRequest) -> Any:
        for one in request.story_ids:
            if self._story_for(one) is None:
                raise error(NotFound, "STORY_NOT_FOUND")
            self.seen.add((auth.viewer_id(), one))
        return story_service_pb2.MarkSeenResponse()

    def ListViewers(self, request: story_service_pb2.ListViewersRequest) -> Any:
        story = self.stories.get(request.story_id)
        if story is None or story.author_id != auth.viewer_id():
            raise error(NotFound, "STORY_NOT_FOUND")
        seen = sorted(person for person, one in self.seen if one == request.story_id)
        return story_service_pb2.ListViewersResponse(
            viewers=[story_service_pb2.StoryViewer(user_id=one) for one in seen],
            total_count=len(seen),
            cursors=[str(one) for one in seen] if request.include_cursors else [],
        )

    # dm_svc

    def _conversation(self, conversation_id: str) -> conversation_pb2.Conversation | None:
        me = auth.viewer_id()
        members = [int(one) for one in conversation_id.split("-")]
        log = self.messages.get(conversation_id)
        if me not in members or not log:
            return None
        other = members[1] if members[0] == me else members[0]
        read = self.read[conversation_id, me]
        conversation = conversation_pb2.Conversation(
            conversation_id=conversation_id,
            other_user_id=other,
            state=conversation_pb2.CONVERSATION_STATE_ACTIVE,
            last_number=len(log),
            last_message=self._shown(log[-1]),
            read_number=read,
            other_read_number=self.read[conversation_id, other],
            unread_count=sum(1 for one in log if one.number > read and one.sender_id != me),
        )
        conversation.update_time.CopyFrom(log[-1].send_time)
        return conversation

    def _shown(self, message: message_pb2.Message) -> message_pb2.Message:
        other = next(int(one) for one in message.conversation_id.split("-") if int(one) != message.sender_id)
        shown = message_pb2.Message()
        shown.CopyFrom(message)
        shown.is_read = self.read[message.conversation_id, other] >= message.number
        return shown

    def _needed(self, conversation_id: str) -> conversation_pb2.Conversation:
        if (found := self._conversation(conversation_id)) is None:
            raise error(NotFound, "CONVERSATION_NOT_FOUND")
        return found

    def SendMessage(self, request: message_service_pb2.SendMessageRequest) -> Any:
        self._user(request.recipient_id)
        if request.recipient_id == auth.viewer_id():
            raise error(InvalidArgument, "CANNOT_MESSAGE_YOURSELF")
        if not request.content:
            raise error(InvalidArgument, "MESSAGE_EMPTY")
        message = self.say(auth.viewer_id(), request.recipient_id, request.content, request.client_message_id)
        return message_service_pb2.SendMessageResponse(message=self._shown(message))

    def ListMessages(self, request: message_service_pb2.ListMessagesRequest) -> Any:
        self._needed(request.conversation_id)
        log = [self._shown(one) for one in self.messages[request.conversation_id]]
        backward = request.order != message_service_pb2.MESSAGE_ORDER_OLDEST_FIRST
        if backward:
            log.reverse()
        if request.page_token:
            at = int(request.page_token)
            log = [one for one in log if (one.number < at if backward else one.number > at)]
        page = log[: request.page_size or 20]
        return message_service_pb2.ListMessagesResponse(
            messages=page,
            cursors=[str(one.number) for one in page] if request.include_cursors else [],
            next_page_token=str(page[-1].number) if len(page) < len(log) else "",
        )

    def BatchGetMessages(self, request: message_service_pb2.BatchGetMessagesRequest) -> Any:
        me, reply = auth.viewer_id(), message_service_pb2.BatchGetMessagesResponse()
        known = {one.message_id: one for log in self.messages.values() for one in log}
        for message_id in request.message_ids:
            message = known.get(message_id)
            found = message is not None and str(me) in message.conversation_id.split("-")
            reply.results.add(
                message_id=message_id, found=found, message=self._shown(message) if found and message else None
            )
        return reply

    def ListConversations(self, request: message_service_pb2.ListConversationsRequest) -> Any:
        if request.folder == message_service_pb2.CONVERSATION_FOLDER_REQUESTS:
            return message_service_pb2.ListConversationsResponse()
        found = [one for one in (self._conversation(key) for key in sorted(self.messages)) if one]
        start = int(request.page_token or 0)
        page = found[start : start + (request.page_size or 20)]
        return message_service_pb2.ListConversationsResponse(
            conversations=page,
            next_page_token=str(start + len(page)) if start + len(page) < len(found) else "",
            cursors=[str(start + i + 1) for i in range(len(page))] if request.include_cursors else [],
        )

    def BatchGetConversations(self, request: message_service_pb2.BatchGetConversationsRequest) -> Any:
        return message_service_pb2.BatchGetConversationsResponse(
            results=[
                message_service_pb2.ConversationLookup(
                    conversation_id=one, found=self._conversation(one) is not None, conversation=self._conversation(one)
                )
                for one in request.conversation_ids
            ]
        )

    def GetConversationWithUser(self, request: message_service_pb2.GetConversationWithUserRequest) -> Any:
        found = self._needed(pair(auth.viewer_id(), request.user_id))
        return message_service_pb2.GetConversationWithUserResponse(conversation=found)

    def MarkRead(self, request: message_service_pb2.MarkReadRequest) -> Any:
        self._needed(request.conversation_id)
        key = (request.conversation_id, auth.viewer_id())
        self.read[key] = max(self.read[key], request.up_to_number)
        return message_service_pb2.MarkReadResponse(conversation=self._needed(request.conversation_id))

    def Unsend(self, request: message_service_pb2.UnsendRequest) -> Any:
        for log in self.messages.values():
            for message in log:
                if message.message_id == request.message_id and message.sender_id == auth.viewer_id():
                    message.content = ""
                    message.unsend_time.FromDatetime(START)
                    return message_service_pb2.UnsendResponse(message=self._shown(message))
        raise error(NotFound, "MESSAGE_NOT_FOUND")

    def SetTyping(self, request: message_service_pb2.SetTypingRequest) -> Any:
        self._needed(request.conversation_id)
        return message_service_pb2.SetTypingResponse()

    def AcceptMessageRequest(self, request: message_service_pb2.AcceptMessageRequestRequest) -> Any:
        found = self._needed(request.conversation_id)
        return message_service_pb2.AcceptMessageRequestResponse(conversation=found)

    def IgnoreMessageRequest(self, request: message_service_pb2.IgnoreMessageRequestRequest) -> Any:
        found = self._needed(request.conversation_id)
        if (request.conversation_id, auth.viewer_id()) not in self.requests:
            raise error(FailedPrecondition, "NOT_A_MESSAGE_REQUEST")
        found.state = conversation_pb2.CONVERSATION_STATE_IGNORED
        return message_service_pb2.IgnoreMessageRequestResponse(conversation=found)

    def UpdateMessageSettings(self, request: message_service_pb2.UpdateMessageSettingsRequest) -> Any:
        self.settings[auth.viewer_id()] = request.settings.audience
        settings = message_settings_pb2.MessageSettings(audience=request.settings.audience)
        return message_service_pb2.UpdateMessageSettingsResponse(settings=settings)

    def ReplayInbox(self, request: inbox_service_pb2.ReplayInboxRequest) -> Any:
        me = auth.viewer_id()
        log = self.inboxes[me]
        head = len(log)
        if not request.HasField("after_useq"):
            return inbox_service_pb2.ReplayInboxResponse(head_useq=head, is_caught_up=True)
        if request.after_useq > head:
            return inbox_service_pb2.ReplayInboxResponse(
                head_useq=head, resync_reason=inbox_service_pb2.INBOX_RESYNC_REASON_BEYOND_HEAD
            )
        if request.after_useq < self.oldest_kept[me]:
            return inbox_service_pb2.ReplayInboxResponse(
                head_useq=head, resync_reason=inbox_service_pb2.INBOX_RESYNC_REASON_TOO_OLD
            )
        entries = log[request.after_useq : request.after_useq + (request.page_size or 100)]
        reached = request.after_useq + len(entries)
        return inbox_service_pb2.ReplayInboxResponse(entries=entries, head_useq=head, is_caught_up=reached == head)

    def GetInboxHeads(self, request: inbox_service_pb2.GetInboxHeadsRequest) -> Any:
        return inbox_service_pb2.GetInboxHeadsResponse(
            heads=[
                inbox_service_pb2.InboxHead(user_id=one, head_useq=len(self.inboxes[one])) for one in request.user_ids
            ]
        )

    # media_svc

    def _own_upload(self, upload_id: str) -> upload_pb2.Upload:
        upload = self.uploads.get(upload_id)
        if upload is None or upload.owner_id != auth.viewer_id():
            raise error(NotFound, "UPLOAD_NOT_FOUND")
        if upload.status != upload_pb2.UPLOAD_STATUS_READY:
            raise error(FailedPrecondition, "UPLOAD_NOT_READY")
        return upload

    def CreateUpload(self, request: media_service_pb2.CreateUploadRequest) -> Any:
        if request.size_bytes > 15 * 1024 * 1024:
            raise error(InvalidArgument, "UPLOAD_TOO_LARGE")
        upload_id = f"00000000-0000-4000-8000-{len(self.uploads):012}"
        upload = self.upload(upload_id, auth.viewer_id(), request.kind)
        upload.status = upload_pb2.UPLOAD_STATUS_PENDING
        form = upload_pb2.UploadForm(
            url="http://store.example/heliograph-incoming/",
            fields=[upload_pb2.UploadFormField(name="key", value=f"incoming/{upload_id}")],
        )
        form.expire_time.FromDatetime(START + timedelta(minutes=5))
        return media_service_pb2.CreateUploadResponse(upload=upload, form=form)

    def GetUpload(self, request: media_service_pb2.GetUploadRequest) -> Any:
        upload = self.uploads.get(request.upload_id)
        if upload is None or upload.owner_id != auth.viewer_id():
            raise error(NotFound, "UPLOAD_NOT_FOUND")
        return media_service_pb2.GetUploadResponse(upload=upload)

    def CompleteUpload(self, request: media_service_pb2.CompleteUploadRequest) -> Any:
        upload = self.GetUpload(media_service_pb2.GetUploadRequest(upload_id=request.upload_id)).upload
        self.uploads[request.upload_id].status = upload_pb2.UPLOAD_STATUS_READY
        upload.status = upload_pb2.UPLOAD_STATUS_PROCESSING
        return media_service_pb2.CompleteUploadResponse(upload=upload)

    def AbortUpload(self, request: media_service_pb2.AbortUploadRequest) -> Any:
        upload = self.GetUpload(media_service_pb2.GetUploadRequest(upload_id=request.upload_id)).upload
        upload.status = upload_pb2.UPLOAD_STATUS_REJECTED
        upload.rejected_reason = upload_pb2.UPLOAD_REJECTED_REASON_ABORTED
        return media_service_pb2.AbortUploadResponse(upload=upload)


class _Stub:
    def __init__(self, world: World) -> None:
        self._world = world

    def __getattr__(self, method: str) -> Any:
        async def call(request: Any) -> Any:
            reply = await self._world.call(method, type(request).FromString(request.SerializeToString()))
            return type(reply).FromString(reply.SerializeToString())

        return call


def clients(world: World) -> Clients:
    """Stubs that call the world directly."""
    stub: Any = _Stub(world)

    async def get_home_feed(request: Any) -> GetHomeFeedResponseView:
        reply = await world.call("GetHomeFeed", request)
        return GetHomeFeedResponseView.FromString(reply.SerializeToString())

    return Clients(
        get_home_feed=get_home_feed,
        posts=stub,
        graph=stub,
        stories=stub,
        messages=stub,
        inbox=stub,
        media=stub,
        channels={},
    )


def pair(one: int, other: int) -> str:
    return f"{min(one, other)}-{max(one, other)}"


def furnished() -> World:
    """Alice (1) follows Bob (2) and Carol (3); all have posts and stories; Alice and Bob talk; Dave (4) is a stranger;
    Eve (5) has blocked Alice."""
    world = World()
    for user_id, name in ((1, "alice"), (2, "bob"), (3, "carol"), (4, "dave"), (5, "eve")):
        world.person(user_id, name, avatar=user_id != 3)
    world.follows |= {(1, 2), (1, 3), (2, 1)}
    world.blocks |= {(5, 1)}
    for index in range(30):
        world.post(
            101 + index,
            2 + index % 2,
            f'Caption {index} with "quotes", ünïcödé and \n a line',
            "An alt text" * (index % 2),
        )
    world.post(140, 1, "mine")
    world.post(150, 5, "hidden from Alice")
    world.likes |= {(1, 101), (2, 101), (2, 140)}
    for story_id, author in ((901, 2), (902, 2), (903, 3), (904, 1)):
        world.story(story_id, author)
    world.seen |= {(1, 901), (2, 904)}
    for index in range(3):
        sender, recipient = ((1, 2), (2, 1))[index % 2]
        world.say(sender, recipient, f"Hello {index}", f"10000000-0000-4000-8000-{index:012}")
    world.upload("20000000-0000-4000-8000-000000000001", 1)
    return world
