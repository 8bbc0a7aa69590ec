"""Loaders of one operation: what many fields ask for goes out as one BatchGet call.

They return protobuf messages, or `None` for what is absent or hidden.
"""

from strawberry.dataloader import DataLoader

from gateway.clients import Clients
from heliograph.dm.v1.conversation_pb2 import Conversation
from heliograph.dm.v1.message_pb2 import Message
from heliograph.dm.v1.message_service_pb2 import BatchGetConversationsRequest, BatchGetMessagesRequest
from heliograph.feed.v1.feed_item_pb2 import FeedItem
from heliograph.feed.v1.graph_service_pb2 import BatchGetUsersRequest, CheckRelationsRequest, RelationPair
from heliograph.feed.v1.post_service_pb2 import BatchGetPostsRequest
from heliograph.feed.v1.user_pb2 import User
from heliograph.story.v1.story_pb2 import Story
from heliograph.story.v1.story_service_pb2 import BatchGetStoriesRequest

USERS_PER_CALL = 500
RELATIONS_PER_CALL = 1_000
OTHERS_PER_CALL = 100


class Loaders:
    """One loader per kind of thing."""

    def __init__(self, clients: Clients, viewer_id: int) -> None:
        self._clients = clients
        self._viewer_id = viewer_id
        self.users: DataLoader[int, User | None] = DataLoader(self._load_users, max_batch_size=USERS_PER_CALL)
        self.follows: DataLoader[int, bool] = DataLoader(self._load_follows, max_batch_size=RELATIONS_PER_CALL)
        self.posts: DataLoader[int, FeedItem | None] = DataLoader(self._load_posts, max_batch_size=OTHERS_PER_CALL)
        self.stories: DataLoader[int, Story | None] = DataLoader(self._load_stories, max_batch_size=OTHERS_PER_CALL)
        self.messages: DataLoader[str, Message | None] = DataLoader(self._load_messages, max_batch_size=OTHERS_PER_CALL)
        self.conversations: DataLoader[str, Conversation | None] = DataLoader(
            self._load_conversations, max_batch_size=OTHERS_PER_CALL
        )

    async def _load_users(self, user_ids: list[int]) -> list[User | None]:
        reply = await self._clients.graph.BatchGetUsers(BatchGetUsersRequest(user_ids=user_ids))
        return [found.user if found.found else None for found in reply.results]

    async def _load_follows(self, user_ids: list[int]) -> list[bool]:
        pairs = [RelationPair(subject_id=self._viewer_id, object_id=user_id) for user_id in user_ids]
        reply = await self._clients.graph.CheckRelations(CheckRelationsRequest(pairs=pairs))
        return [relation.follows for relation in reply.relations]

    async def _load_posts(self, post_ids: list[int]) -> list[FeedItem | None]:
        reply = await self._clients.posts.BatchGetPosts(BatchGetPostsRequest(post_ids=post_ids))
        return [found.item if found.found else None for found in reply.results]

    async def _load_stories(self, story_ids: list[int]) -> list[Story | None]:
        reply = await self._clients.stories.BatchGetStories(BatchGetStoriesRequest(story_ids=story_ids))
        return [found.story if found.found else None for found in reply.results]

    async def _load_messages(self, message_ids: list[str]) -> list[Message | None]:
        reply = await self._clients.messages.BatchGetMessages(BatchGetMessagesRequest(message_ids=message_ids))
        return [found.message if found.found else None for found in reply.results]

    async def _load_conversations(self, conversation_ids: list[str]) -> list[Conversation | None]:
        request = BatchGetConversationsRequest(conversation_ids=conversation_ids)
        reply = await self._clients.messages.BatchGetConversations(request)
        return [found.conversation if found.found else None for found in reply.results]
