"""A small world behind the gateway: every RPC that it calls, on data in memory, for tests.

`World` answers as the services promise in their protos. `clients(world)` are stubs that call it directly; each request
and reply travels as bytes, as it would over gRPC.
"""

import asyncio
from typing import Any

from gateway.clients import Clients
from heliograph.feed.v1.feed_item_view_pb2 import GetHomeFeedResponseView
from heliograph.story.v1.story_tray_view_pb2 import GetStoryTrayResponseView
from mesh import auth
from tests.unit.gateway.world.messages import MessageWorld
from tests.unit.gateway.world.story import StoryWorld


class World(StoryWorld, MessageWorld):
    """All services."""

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

    async def get_story_tray(request: Any) -> GetStoryTrayResponseView:
        reply = await world.call("GetStoryTray", request)
        return GetStoryTrayResponseView.FromString(reply.SerializeToString())

    return Clients(
        get_home_feed=get_home_feed,
        get_story_tray=get_story_tray,
        posts=stub,
        graph=stub,
        stories=stub,
        messages=stub,
        inbox=stub,
        media=stub,
        channels={},
    )
