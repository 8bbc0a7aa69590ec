"""Authors whose posts are pulled when feeds are read, and their newest posts, held in this process.

They are few (the accounts beyond the policy's threshold), and every feed of a follower asks for the same few lists. A
notice about a new post updates a list at once; a lost notice costs at most `RECENT_SECONDS`.
"""

import random
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

from feed_svc.domain import PostId, UserId, merge_newest_first
from feed_svc.store import Store
from mesh.clock import EPOCH, Clock, to_ms
from mesh.flight import SingleFlight

RECENT_POSTS = 100
RECENT_SECONDS = 3.5
JITTER = 0.2
OVERLAP = timedelta(seconds=60)
"""How far a look back overlaps the one before: a transaction commits up to that much later than its rows say."""


@dataclass(frozen=True, slots=True)
class _Recent:
    post_ids: tuple[PostId, ...]
    is_all: bool
    until: float


class PulledAuthors:
    """What feed reads need to know of PULL posts."""

    def __init__(self, store: Store, clock: Clock, *, now: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._now = now
        self._since_ms: dict[UserId, int] = {}
        self._recent: dict[UserId, _Recent] = {}
        self._flights: SingleFlight[frozenset[UserId], None] = SingleFlight(limit=8)
        self._looked_at = EPOCH + OVERLAP

    async def refresh(self) -> None:
        """Learn of authors who got their first PULL stamp since the last look."""
        now = self._clock.now()
        for author, since in (await self._store.pull_authors_since(self._looked_at - OVERLAP)).items():
            self._since_ms.setdefault(author, to_ms(since))
        self._looked_at = now

    def hear_of(self, author: UserId, post_id: PostId) -> None:
        """Take a notice of a new PULL post."""
        self._since_ms.setdefault(author, self._clock.now_ms())
        known = self._recent.get(author)
        if known is not None:
            ids = tuple(merge_newest_first([post_id], known.post_ids))
            self._recent[author] = _Recent(ids, known.is_all, known.until)

    def newer_than(self, as_of_ms: int) -> frozenset[UserId]:
        """Return authors who are pulled and may not have been at that moment; mostly none."""
        limit = as_of_ms - OVERLAP // timedelta(milliseconds=1)
        return frozenset(author for author, since in self._since_ms.items() if since >= limit)

    async def posts_below(self, authors: Collection[UserId], *, before: PostId, limit: int) -> list[PostId]:
        """Return PULL posts of these authors below `before`, newest first, at most `limit`."""
        if not authors:
            return []
        stale = frozenset(author for author in authors if not self._is_fresh(author))
        if stale:
            await self._flights.share(stale, lambda: self._load(stale))
        lists: list[list[PostId]] = []
        for recent in self._held(authors):
            below = [post_id for post_id in recent.post_ids if post_id < before][:limit]
            if len(below) < limit and not recent.is_all:
                return await self._store.pulled_below(authors, before=before, limit=limit)
            lists.append(below)
        return merge_newest_first(*lists)[:limit]

    def _held(self, authors: Iterable[UserId]) -> list[_Recent]:
        return [self._recent[author] for author in authors if author in self._recent]

    def _is_fresh(self, author: UserId) -> bool:
        recent = self._recent.get(author)
        return recent is not None and recent.until > self._now()

    async def _load(self, authors: frozenset[UserId]) -> None:
        found = await self._store.recent_pulled(authors, limit=RECENT_POSTS)
        seconds = RECENT_SECONDS * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - not a secret
        for author in authors:
            ids = found.get(author, [])
            self._recent[author] = _Recent(tuple(ids), len(ids) < RECENT_POSTS, self._now() + seconds)
