"""Push a post into the timelines of its author's followers, a chunk at a time."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from prometheus_client import Counter, Histogram

from feed_svc.cache import Timelines, ids_of
from feed_svc.domain import Chunk, DeliveryMode, Phase, PostId, UserId
from feed_svc.events import Events
from feed_svc.store import Store
from feed_svc.usecases.tell_followers import TellFollowers
from mesh import ids
from mesh.clock import Clock

CHUNK = 5_000
"""Followers handled at once."""
LANES = 8
"""Lane 0 is for authors of one chunk; the others share the large ones by author, so that a giant fills only its own."""
ACTIVE = timedelta(hours=24)
"""Who has read their feed within it is served first."""
LIVE = timedelta(hours=2)
"""Who has read their feed within it may have the app open."""
MARGIN = timedelta(seconds=60)
"""More than clocks of processes and of the database are apart."""
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
NEVER = datetime(9999, 1, 1, tzinfo=UTC)

_deliveries = Counter("feed_deliveries", "Posts pushed into timelines")
_seconds = Histogram(
    "feed_fan_out_seconds",
    "From the commit of a post until it is in every timeline",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60),
)


@dataclass(frozen=True, slots=True)
class FanOutPost:
    """Begins a fan-out: small authors are done with here, for large ones the first chunk is queued."""

    store: Store
    timelines: Timelines
    events: Events
    tell: TellFollowers
    clock: Clock

    async def begin(
        self, post_id: PostId, author: UserId, mode: DeliveryMode, *, policy_version: int, follower_count: int
    ) -> None:
        """Push a post, or queue its first chunk. Safe to repeat. A PULL post needs nothing."""
        if mode is not DeliveryMode.PUSH:
            return
        if follower_count > CHUNK:
            lane = 1 + author % (LANES - 1)
            await self.events.queue_chunk(
                Chunk(post_id, author, policy_version, lane, Phase.ACTIVE, after=0),
                max_followers=CHUNK,
                now=self.clock.now(),
            )
            return
        after = 0
        while True:
            scanned, after = await self._push(post_id, author, after, ALWAYS, NEVER, NEVER)
            if scanned < CHUNK:
                break
        await self._finish(post_id, author)

    async def handle(self, chunk: Chunk) -> None:
        """Push to a chunk of followers, then queue the chunk that follows; only then may this one be acknowledged.

        Whoever reads their feed between the two phases, and so changes from the second to the first, is reached in
        the second all the same.
        """
        border = ids.created_at(chunk.post_id) - ACTIVE
        spans = (
            (border, NEVER, NEVER)
            if chunk.phase is Phase.ACTIVE
            else (ALWAYS, border, ids.created_at(chunk.post_id) - MARGIN)
        )
        scanned, last = await self._push(chunk.post_id, chunk.author_id, chunk.after, *spans)
        if scanned == CHUNK:
            following = replace(chunk, after=last)
        elif chunk.phase is Phase.ACTIVE:
            following = replace(chunk, phase=Phase.REST, after=0)
        else:
            await self._finish(chunk.post_id, chunk.author_id)
            return
        await self.events.queue_chunk(following, max_followers=CHUNK, now=self.clock.now())

    async def _push(
        self,
        post_id: PostId,
        author: UserId,
        after: int,
        read_from: datetime,
        read_until: datetime,
        read_again_from: datetime,
    ) -> tuple[int, int]:
        chunk = await self.store.fan_out_chunk(
            author,
            after=after,
            limit=CHUNK,
            read_from=read_from,
            read_until=read_until,
            read_again_from=read_again_from,
            live_from=self.clock.now() - LIVE,
        )
        reached = ids_of(chunk.reached)
        if len(reached):
            _deliveries.inc(await self.timelines.push_post(post_id, reached))
            self.tell.note(ids_of(chunk.live), post_id)
        return chunk.scanned, chunk.last_follower_id or after

    async def _finish(self, post_id: PostId, author: UserId) -> None:
        if (seconds := await self.store.finish_fan_out(author, post_id)) is not None:
            _seconds.observe(seconds)
