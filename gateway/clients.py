"""The services that the gateway calls: one channel each, and the stubs over them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc

from gateway.config import Config
from heliograph.dm.v1 import inbox_service_pb2, message_service_pb2
from heliograph.dm.v1.inbox_service_pb2_grpc import InboxServiceStub
from heliograph.dm.v1.message_service_pb2_grpc import MessageServiceStub
from heliograph.feed.v1 import feed_service_pb2, graph_service_pb2, post_service_pb2
from heliograph.feed.v1.feed_item_view_pb2 import GetHomeFeedResponseView
from heliograph.feed.v1.graph_service_pb2_grpc import GraphServiceStub
from heliograph.feed.v1.post_service_pb2_grpc import PostServiceStub
from heliograph.media.v1 import media_service_pb2
from heliograph.media.v1.media_service_pb2_grpc import MediaServiceStub
from heliograph.story.v1 import story_service_pb2
from heliograph.story.v1.story_service_pb2_grpc import StoryServiceStub
from heliograph.story.v1.story_tray_view_pb2 import GetStoryTrayResponseView
from mesh.grpc import client
from mesh.grpc.tls import Credentials

FEED_CALL = "/heliograph.feed.v1.FeedService/GetHomeFeed"
TRAY_CALL = "/heliograph.story.v1.StoryService/GetStoryTray"

MESSAGES_LINGER_SECONDS = 0.008
"""How long after others a send waits for more while they come in company. Each bundle sets a dozen processes and
threads going, here, in dm_svc and in its servers, so fewer and larger ones are sooner through (ADR 7)."""

GetHomeFeed = Callable[[feed_service_pb2.GetHomeFeedRequest], Awaitable[GetHomeFeedResponseView]]
GetStoryTray = Callable[[story_service_pb2.GetStoryTrayRequest], Awaitable[GetStoryTrayResponseView]]


@dataclass(frozen=True, slots=True)
class Clients:
    """Stubs; they carry the viewer's token, the request id and the deadline by themselves (`mesh.grpc.client`)."""

    get_home_feed: GetHomeFeed
    """FeedService.GetHomeFeed, its reply read with the records of posts left as bytes."""
    get_story_tray: GetStoryTray
    """StoryService.GetStoryTray, its reply read with the records of authors and stories left as bytes."""
    posts: PostServiceStub
    graph: GraphServiceStub
    stories: StoryServiceStub
    messages: MessageServiceStub
    inbox: InboxServiceStub
    media: MediaServiceStub
    channels: dict[str, grpc.aio.Channel]
    """By service name, for readiness."""


@asynccontextmanager
async def connect(config: Config) -> AsyncIterator[Clients]:
    """Open the channels; they connect when first used."""
    credentials = Credentials.from_config(config.tls)
    feed_services = [
        *feed_service_pb2.DESCRIPTOR.services_by_name.values(),
        *post_service_pb2.DESCRIPTOR.services_by_name.values(),
        *graph_service_pb2.DESCRIPTOR.services_by_name.values(),
    ]
    dm_services = [
        *message_service_pb2.DESCRIPTOR.services_by_name.values(),
        *inbox_service_pb2.DESCRIPTOR.services_by_name.values(),
    ]
    async with (
        client.connect(
            config.feed_address, server_name="feed_svc", services=feed_services, credentials=credentials
        ) as feed,
        client.connect(
            config.story_address,
            server_name="story_svc",
            services=[*story_service_pb2.DESCRIPTOR.services_by_name.values()],
            credentials=credentials,
        ) as story,
        client.connect(
            config.dm_address,
            server_name="dm_svc",
            services=dm_services,
            credentials=credentials,
            linger_seconds=MESSAGES_LINGER_SECONDS,
        ) as messages,
        client.connect(
            config.media_address,
            server_name="media_svc",
            services=[*media_service_pb2.DESCRIPTOR.services_by_name.values()],
            credentials=credentials,
        ) as media,
    ):
        yield over(feed=feed, story=story, messages=messages, media=media)


def over(
    *, feed: grpc.aio.Channel, story: grpc.aio.Channel, messages: grpc.aio.Channel, media: grpc.aio.Channel
) -> Clients:
    """Return the stubs over open channels."""
    return Clients(
        get_home_feed=feed.unary_unary(
            FEED_CALL,
            request_serializer=feed_service_pb2.GetHomeFeedRequest.SerializeToString,
            response_deserializer=GetHomeFeedResponseView.FromString,
        ),
        get_story_tray=story.unary_unary(
            TRAY_CALL,
            request_serializer=story_service_pb2.GetStoryTrayRequest.SerializeToString,
            response_deserializer=GetStoryTrayResponseView.FromString,
        ),
        posts=PostServiceStub(feed),
        graph=GraphServiceStub(feed),
        stories=StoryServiceStub(story),
        messages=MessageServiceStub(messages),
        inbox=InboxServiceStub(messages),
        media=MediaServiceStub(media),
        channels={"feed_svc": feed, "story_svc": story, "dm_svc": messages, "media_svc": media},
    )
