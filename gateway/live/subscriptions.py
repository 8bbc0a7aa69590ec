"""The live subscription."""

import asyncio
from collections.abc import AsyncGenerator

import strawberry

from gateway.context import Info
from gateway.live.types import LiveEvent, shown
from heliograph.events.v1 import live_events_pb2

QUEUED_HINTS = 64
"""Hints that wait for a slow reader; the oldest give way, since the next read tells the same."""


@strawberry.type
class LiveSubscriptions:
    """Fields of `Subscription` about live hints."""

    @strawberry.subscription(description="Hints for an open app: best effort, never stored, nothing lost without them.")
    async def live(self, info: Info) -> AsyncGenerator[LiveEvent, None]:
        """Yield the viewer's live events."""
        waiting: asyncio.Queue[live_events_pb2.LiveEvent] = asyncio.Queue(QUEUED_HINTS)

        def listen(event: live_events_pb2.LiveEvent) -> None:
            if waiting.full():
                waiting.get_nowait()
            waiting.put_nowait(event)

        hub, user_id = info.context.services.hub, info.context.viewer_id
        await hub.open_live(user_id, listen)
        try:
            while True:
                if (one := shown(await waiting.get())) is not None:
                    yield one
        finally:
            await hub.close_live(user_id, listen)
