"""Channels to the services, opened when they are first needed, under the name in the `cli` certificate."""

from contextlib import AsyncExitStack
from dataclasses import dataclass

import grpc
from google.protobuf.descriptor import FileDescriptor

from cli.settings import Settings
from heliograph.dm.v1 import message_admin_service_pb2
from heliograph.feed.v1 import feed_admin_service_pb2, feed_service_pb2, graph_service_pb2
from heliograph.feed.v1.graph_service_pb2 import GetUserByUsernameRequest
from heliograph.feed.v1.graph_service_pb2_grpc import GraphServiceStub
from heliograph.media.v1 import media_admin_service_pb2
from heliograph.story.v1 import story_admin_service_pb2
from mesh.grpc import client
from mesh.grpc.tls import Credentials

CALL_SECONDS = 60.0
"""Checks and repairs take their time."""


@dataclass(frozen=True, slots=True)
class Target:
    """One service: the name in its certificate, the variable of its address, its protos."""

    name: str
    variable: str
    files: tuple[FileDescriptor, ...]


FEED = Target(
    "feed_svc",
    "HELIOGRAPH_FEED_ADDRESS",
    (feed_service_pb2.DESCRIPTOR, graph_service_pb2.DESCRIPTOR, feed_admin_service_pb2.DESCRIPTOR),
)
STORY = Target("story_svc", "HELIOGRAPH_STORY_ADDRESS", (story_admin_service_pb2.DESCRIPTOR,))
MEDIA = Target("media_svc", "HELIOGRAPH_MEDIA_ADDRESS", (media_admin_service_pb2.DESCRIPTOR,))
DM = Target("dm_svc", "HELIOGRAPH_DM_ADDRESS", (message_admin_service_pb2.DESCRIPTOR,))


class Services:
    """The services of one run of the command; channels live as long as `stack`."""

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        self.settings = settings
        self._stack = stack
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def channel(self, target: Target) -> grpc.aio.Channel:
        """Return the channel to a service; `ConfigError` when its address or our certificate is unknown."""
        if target.name not in self._channels:
            address = self.settings.need(target.variable, f"the gRPC address of {target.name}")
            self._channels[target.name] = await self._stack.enter_async_context(
                client.connect(
                    address,
                    server_name=target.name,
                    services=[service for file in target.files for service in file.services_by_name.values()],
                    credentials=Credentials.from_config(self.settings.tls()),
                    default_seconds=CALL_SECONDS,
                )
            )
        return self._channels[target.name]

    async def graph(self) -> GraphServiceStub:
        """Return the service that knows people."""
        return GraphServiceStub(await self.channel(FEED))

    async def user_id(self, person: str) -> int:
        """Return the id of a person given by number or by username; a number is taken as it is."""
        if person.isdecimal():
            return int(person)
        reply = await (await self.graph()).GetUserByUsername(GetUserByUsernameRequest(username=person))
        return reply.user.user_id

    async def user_ids(self, people: list[str]) -> list[int]:
        """Return the ids of several people, in the same order."""
        return [await self.user_id(person) for person in people]
