"""Compare served feeds with the oracle."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import Counter, Gauge

from feed_svc.domain import (
    FIRST_POSITION,
    Difference,
    DifferenceKind,
    PostId,
    UserId,
    checked_batch,
    checked_size,
    compare,
)
from feed_svc.errors import UserNotFound
from feed_svc.store import Store
from feed_svc.usecases.get_home_feed import GetHomeFeed
from mesh.telemetry import get_logger

MAX_USERS = 500
MAX_DEPTH = 1_000
DEFAULT_DEPTH = 300
DEFAULT_SAMPLE = 100
BACKGROUND_SAMPLE = 20

_log = get_logger(__name__)
_checked = Counter("feed_verified_users", "Feeds compared with the oracle in the background")
_differences = Counter("feed_verify_differences", "Differences that the background check found", ["kind"])
_last = Gauge("feed_verify_last_differences", "Differences that the last background check found")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a comparison found; `differences` are by person, newest first."""

    users_checked: int
    posts_checked: int
    differences: tuple[Difference, ...]
    seed: int

    def count(self, kind: DifferenceKind) -> int:
        """Return how many differences of a kind there are."""
        return sum(one.kind is kind for one in self.differences)


@dataclass(frozen=True, slots=True)
class VerifyFeeds:
    """Reads feeds page by page, as people do, between two looks at the oracle."""

    store: Store
    get_home_feed: GetHomeFeed

    async def __call__(self, users: Sequence[UserId], *, sample_size: int, seed: int, depth: int) -> Verdict:
        """Compare the feeds of these people, or of a sample that the seed repeats."""
        checked_batch(users, limit=MAX_USERS, may_be_empty=True)
        sample = checked_size(sample_size, default=DEFAULT_SAMPLE, limit=MAX_USERS)
        deep = checked_size(depth, default=DEFAULT_DEPTH, limit=MAX_DEPTH)
        drawn = seed or random.SystemRandom().randrange(1, 2**31)
        if users:
            known = await self.store.get_users(users)
            if any(user not in known for user in users):
                raise UserNotFound
        else:
            users = await self.store.draw_users(seed=drawn, limit=sample)
        posts, differences = 0, list[Difference]()
        for user in users:
            count, found = await self._compare(user, deep)
            posts += count
            differences += found
        return Verdict(len(users), posts, tuple(differences), drawn)

    async def in_background(self) -> None:
        """Compare a few people who have timelines, newest hundred posts, and set the metrics."""
        users = await self.store.draw_timelines(seed=random.SystemRandom().randrange(1, 2**31), limit=BACKGROUND_SAMPLE)
        found = 0
        for user in users:
            for difference in (await self._compare(user, 100))[1]:
                found += 1
                _differences.labels(difference.kind.name.lower()).inc()
                _log.error("feed_differs", user=user, post=difference.post_id, kind=difference.kind.name)
        _checked.inc(len(users))
        _last.set(found)

    async def _compare(self, user: UserId, depth: int) -> tuple[int, list[Difference]]:
        before = await self.store.oracle_feed(user, limit=depth)
        served = await self._served(user, depth)
        missing = set(before) - set(served)
        # Before the second look: a fan-out that ends in between is not held against the page read during it.
        under_way = await self.store.posts_under_way(missing) if missing else set()
        after = await self.store.oracle_feed(user, limit=depth)
        found = compare(user, served, oracle_before=before, oracle_after=after, under_way=under_way, depth=depth)
        if found and not under_way:
            found = await self._confirmed(user, depth, found)
        return len(before), found

    async def _confirmed(self, user: UserId, depth: int, found: list[Difference]) -> list[Difference]:
        """Look again: a fan-out may have ended between the page and the question whether it had."""
        before = await self.store.oracle_feed(user, limit=depth)
        served = await self._served(user, depth)
        after = await self.store.oracle_feed(user, limit=depth)
        again = compare(user, served, oracle_before=before, oracle_after=after, under_way=(), depth=depth)
        return [one for one in found if one in again]

    async def _served(self, user: UserId, depth: int) -> list[PostId]:
        served: list[PostId] = []
        position: PostId | None = FIRST_POSITION
        while position is not None and len(served) < depth:
            page = await self.get_home_feed(user, page_size=50, before=position)
            served += [view.post_id for view in page.views]
            position = page.next_before
        return served[:depth]
