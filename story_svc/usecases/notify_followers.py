"""Tell the open apps of an author and their followers that something changed."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import Counter

from mesh.errors import HeliographError
from mesh.events import Event
from mesh.jetstream import JetStream
from mesh.telemetry import get_logger
from story_svc.domain import UserId
from story_svc.peers import Graph

MAX_LISTENERS = 100_000
"""Beyond so many followers an author's changes are not told live: apps see them at their next read, and know each
story's end anyway.
"""
YIELD_EVERY = 500

_log = get_logger(__name__)
_sent = Counter("story_live_notices", "Live notices handed to NATS")


@dataclass(frozen=True, slots=True)
class NotifyFollowers:
    """Best effort: NATS drops the notices of those who aren't connected; trouble is logged, never raised."""

    graph: Graph
    jetstream: JetStream

    async def __call__(self, author: UserId, notice_for: Callable[[UserId], Event]) -> None:
        """Send `notice_for(listener)` to the author and each follower."""
        try:
            await self._send([author], notice_for)
            count = 0
            async for followers in self.graph.followers(author):
                await self._send(followers[: MAX_LISTENERS - count], notice_for)
                count += len(followers)
                if count >= MAX_LISTENERS:
                    _log.info("live_notices_cut", author_id=author, listeners=MAX_LISTENERS)
                    return
        except HeliographError as error:
            _log.warning("live_notices_failed", author_id=author, error=repr(error))

    async def _send(self, listeners: list[UserId], notice_for: Callable[[UserId], Event]) -> None:
        for number, listener in enumerate(listeners, start=1):
            notice = notice_for(listener)
            await self.jetstream.tell(notice.subject, notice.payload)
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)
        _sent.inc(len(listeners))
