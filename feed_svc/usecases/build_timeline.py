"""Build a person's timeline from Postgres."""

import asyncio
from dataclasses import dataclass

from prometheus_client import Counter, Gauge

from feed_svc.cache import Timelines
from feed_svc.domain import FIRST_POSITION, UserId
from feed_svc.store import Store
from mesh.cancellation import raise_if_cancelled
from mesh.clock import Clock
from mesh.errors import HeliographError
from mesh.redis import TROUBLE
from mesh.telemetry import get_logger

BUILDERS = 4
"""Timelines that one process builds at once."""
WAITING = 10_000

_log = get_logger(__name__)
_built = Counter("feed_timelines_built", "Timelines built from Postgres")
_waiting = Gauge("feed_timelines_waiting", "People who wait for their timeline to be built")


@dataclass(frozen=True, slots=True)
class BuildTimeline:
    """Open, read, fill: pushes reach the timeline from before the read on, so no post falls in between.

    The owner is noted in Postgres first: fan-out pushes to those who are noted, and whoever it did not yet find there
    committed their post before the read below.
    """

    store: Store
    timelines: Timelines
    clock: Clock

    async def __call__(self, viewer: UserId, *, even_if_right: bool = False) -> int | None:
        """Build the timeline and return how many posts it has; `None` when there is no such person, when there is a
        right one (unless `even_if_right`), or when somebody else builds it.
        """
        generation = await self.store.generation(viewer)
        if generation is None:
            return None
        await self.store.touch_timeline(viewer)
        token = await self.timelines.open(viewer, unless_generation=None if even_if_right else generation)
        if token is None:
            return None
        # Again: what was committed up to here is read below, and nothing later may be claimed.
        generation = await self.store.generation(viewer) or 0
        built_ms = self.clock.now_ms()
        length = self.timelines.timeline_length
        pulled = await self.store.pulled_authors_of(viewer)
        post_ids = await self.store.pull_feed(viewer, before=FIRST_POSITION, limit=length + 1)
        filled = await self.timelines.fill(
            viewer,
            token,
            post_ids,
            is_complete=len(post_ids) <= length,
            generation=generation,
            built_ms=built_ms,
            pulled=pulled,
        )
        _built.inc()
        return len(post_ids) if filled else None


class Builders:
    """A few loops that build the timelines that reads found missing; each person waits in line once."""

    def __init__(self, build: BuildTimeline) -> None:
        self._build = build
        self._line: asyncio.Queue[UserId] = asyncio.Queue()
        self._known: set[UserId] = set()

    def ask(self, viewer: UserId) -> None:
        """Have a timeline built soon. With a full line nothing happens: the next read asks again."""
        if viewer not in self._known and len(self._known) < WAITING:
            self._known.add(viewer)
            self._line.put_nowait(viewer)
            _waiting.set(len(self._known))

    async def run(self) -> None:
        """Build until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(BUILDERS):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            raise_if_cancelled()
            viewer = await self._line.get()
            try:
                await self._build(viewer)
            except (*TROUBLE, HeliographError) as error:
                _log.warning("timeline_not_built", error=type(error).__name__)
                await asyncio.sleep(0.2)
            finally:
                self._known.discard(viewer)
                _waiting.set(len(self._known))


@dataclass(frozen=True, slots=True)
class RebuildTimelines:
    """Builds timelines anew, for staff."""

    store: Store
    build: BuildTimeline
    timelines: Timelines

    async def __call__(self, users: list[UserId]) -> list[tuple[UserId, bool, int]]:
        """Return for each person whether they exist and how many posts their timeline has now."""
        known = await self.store.get_users(users)
        results = []
        for user in users:
            if user not in known:
                results.append((user, False, 0))
                continue
            await self.timelines.drop(user)
            built = await self.build(user, even_if_right=True)
            if built is None:  # a reader was faster
                built = len((await self.timelines.members_of(user))[0])
            results.append((user, True, built))
        return results


@dataclass(frozen=True, slots=True)
class EvictTimelines:
    """Removes the timelines of those who have not read their feed for long, so that only active people cost memory."""

    store: Store
    timelines: Timelines
    inactive_seconds: float

    async def __call__(self) -> int:
        """Remove a batch, from Redis first: whoever reads in between builds anew and stays noted. Return how many."""
        users = await self.store.inactive_timelines(seconds=self.inactive_seconds, limit=1_000)
        if users:
            await self.timelines.drop(*users)
            await self.store.forget_timelines(users, seconds=self.inactive_seconds)
        return len(users)
