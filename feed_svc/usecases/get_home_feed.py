"""Read the home feed: skeleton, standings, rules, hydration, page."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from prometheus_client import Counter

from feed_svc.cache import Timelines
from feed_svc.domain import (
    COMPLETE,
    FIRST_POSITION,
    Home,
    Page,
    PostId,
    Standing,
    UserId,
    checked_page_size,
    is_visible,
    merge_newest_first,
)
from feed_svc.errors import UserNotFound
from feed_svc.store import Store
from feed_svc.usecases.build_timeline import Builders
from feed_svc.usecases.hydrate_posts import HydratePosts
from feed_svc.usecases.pulled_authors import PulledAuthors
from mesh.breaker import Breaker, BreakerOpen
from mesh.clock import Clock
from mesh.errors import Unavailable
from mesh.flight import SingleFlight
from mesh.redis import TROUBLE
from mesh.telemetry import get_logger

REFILLS = 5
"""How often a page that rules emptied is filled again before it is returned short, with a token to go on."""
TOUCH_MS = 3_600_000
LIFE_MS = 31 * 24 * 3_600_000
STALE_MS = 600_000
"""Ten minutes: how old a page may be that is shown while storage can't answer."""
PAGES_AT_HAND = 10_000

_log = get_logger(__name__)
_reads = Counter("feed_reads", "Feed pages by where their skeleton came from", ["source"])


@dataclass(frozen=True, slots=True)
class Skeleton:
    """Post ids below a position, newest first; `is_end` when nothing older remains."""

    post_ids: Sequence[PostId]
    is_end: bool
    generation: int
    """The viewer's, that these ids reflect."""
    home: Home | None
    """Where they came from; `None` when they were pulled."""


@dataclass(frozen=True, slots=True)
class _Kept:
    page: Page
    page_size: int
    kept_ms: int


class LastPages:
    """The last first pages that this process has served, for when storage can't answer."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pages: OrderedDict[UserId, _Kept] = OrderedDict()

    def keep(self, viewer: UserId, page: Page, *, page_size: int) -> None:
        """Keep a page instead of the viewer's former one."""
        self._pages[viewer] = _Kept(page, page_size, self._clock.now_ms())
        self._pages.move_to_end(viewer)
        if len(self._pages) > PAGES_AT_HAND:
            self._pages.popitem(last=False)

    def get(self, viewer: UserId, *, page_size: int) -> Page | None:
        """Return the viewer's page if it is at most ten minutes old, not longer than asked for."""
        kept = self._pages.get(viewer)
        if kept is None or self._clock.now_ms() - kept.kept_ms > STALE_MS:
            return None
        views = kept.page.views[:page_size]
        is_cut = len(kept.page.views) > page_size
        return Page(views, views[-1].post_id if is_cut else kept.page.next_before, is_stale=True)

    def forget_post(self, post_id: PostId) -> None:
        """Take a deleted post off every page."""
        for viewer, kept in self._pages.items():
            if any(view.post_id == post_id for view in kept.page.views):
                views = tuple(view for view in kept.page.views if view.post_id != post_id)
                self._pages[viewer] = replace(kept, page=replace(kept.page, views=views))

    def forget_author(self, viewer: UserId, author: UserId) -> None:
        """Take a person's posts off the page of somebody who must not see them any more."""
        if (kept := self._pages.get(viewer)) is not None:
            views = tuple(view for view in kept.page.views if view.record.author_id != author)
            self._pages[viewer] = replace(kept, page=replace(kept.page, views=views))


@dataclass(frozen=True, slots=True)
class GetHomeFeed:
    """Pushed timeline and pulled posts, merged; below the timeline's floor, and without a timeline, all by pull.

    Redis says what may stand in the feed, Postgres says what does: one query tells how every candidate stands to the
    viewer at this moment, and the generation that a timeline must reflect to be believed.
    """

    store: Store
    timelines: Timelines
    hydrate: HydratePosts
    pulled: PulledAuthors
    builders: Builders
    pages: LastPages
    flights: "SingleFlight[tuple[UserId, PostId, int, int], list[PostId]]"
    redis_breaker: Breaker
    postgres_breaker: Breaker
    clock: Clock

    async def __call__(self, viewer: UserId, *, page_size: int, before: PostId = FIRST_POSITION) -> Page:
        """Return a page below `before`, newest first.

        A page that the rules emptied is filled again, a bounded number of times; while older posts may remain,
        `next_before` says where to go on, also behind a short page. While Postgres can't answer: what Redis holds, or
        the last known first page, marked as stale.
        """
        size = checked_page_size(page_size)
        try:
            page = await self._fresh(viewer, size=size, before=before)
        except (Unavailable, TimeoutError) as error:
            stale = await self._stale(viewer, size=size, before=before)
            if stale is None:
                raise error if isinstance(error, Unavailable) else BreakerOpen() from error
            _reads.labels("stale").inc()
            return stale
        if before == FIRST_POSITION:
            self.pages.keep(viewer, page, page_size=size)
        return page

    async def _fresh(self, viewer: UserId, *, size: int, before: PostId) -> Page:
        shown: list[Standing] = []
        position = before
        for _ in range(REFILLS):
            skeleton, standings = await self._candidates(viewer, before=position, limit=size + 1)
            visible = [one for one in standings if is_visible(one, viewer)]
            await self._repair(viewer, skeleton, standings)
            shown += visible
            if len(shown) > size:
                return Page(tuple(await self.hydrate(shown[:size])), shown[size - 1].post_id)
            if skeleton.is_end or not skeleton.post_ids:
                return Page(tuple(await self.hydrate(shown)), None)
            position = skeleton.post_ids[-1]
        return Page(tuple(await self.hydrate(shown)), position)

    async def _candidates(self, viewer: UserId, *, before: PostId, limit: int) -> tuple[Skeleton, list[Standing]]:
        home = await self._read_home(viewer, before=before, limit=limit)
        if home is not None and home.is_usable:
            skeleton = await self._merged(viewer, home, before=before, limit=limit)
            if skeleton is not None:
                standings = await self._standings(viewer, skeleton.post_ids)
                generation = standings[0].generation if standings else await self._generation(viewer)
                if generation == skeleton.generation:
                    _reads.labels("timeline").inc()
                    await self._touch(viewer, home)
                    return skeleton, standings
                home = None  # the viewer's own doing is missing in it
        skeleton = await self._pull(viewer, home, before=before, limit=limit)
        return skeleton, await self._standings(viewer, skeleton.post_ids)

    async def _read_home(self, viewer: UserId, *, before: PostId, limit: int) -> Home | None:
        try:
            return await self.redis_breaker.call(lambda: self.timelines.read_home(viewer, before=before, limit=limit))
        except (*TROUBLE, BreakerOpen) as error:
            _log.warning("timeline_read_failed", error=type(error).__name__)
            return None

    async def _merged(self, viewer: UserId, home: Home, *, before: PostId, limit: int) -> Skeleton | None:
        """Return the skeleton above the timeline's floor; `None` when it ends before `limit`: go on by pull."""
        is_end = not home.is_cut and home.floor == COMPLETE
        if home.generation is None or (len(home.post_ids) < limit and not is_end):
            return None
        authors = await self._pulled_authors(viewer, home)
        pulled = await self.pulled.posts_below(authors, before=before, limit=limit)
        merged = merge_newest_first(home.post_ids, pulled)
        return Skeleton(merged[:limit], is_end and len(merged) < limit, home.generation, home)

    async def _pulled_authors(self, viewer: UserId, home: Home) -> frozenset[UserId]:
        unknown = self.pulled.newer_than(home.pulled_ms) - home.pulled
        if not unknown or home.generation is None:
            return home.pulled
        as_of_ms = self.clock.now_ms()
        pulled = home.pulled | frozenset(await self.store.followed_among(viewer, unknown))
        try:
            await self.timelines.note_pulled(viewer, pulled, generation=home.generation, as_of_ms=as_of_ms)
        except TROUBLE as error:
            _log.warning("pulled_not_noted", error=type(error).__name__)
        return pulled

    async def _pull(self, viewer: UserId, home: Home | None, *, before: PostId, limit: int) -> Skeleton:
        generation = await self._generation(viewer)
        is_below_floor = home is not None and home.generation == generation
        if not is_below_floor:
            self.builders.ask(viewer)
        kept = home.page if home is not None and home.page_generation == generation else None
        if kept is not None and before == FIRST_POSITION and len(kept) >= limit:
            _reads.labels("page").inc()
            return Skeleton(kept[:limit], False, generation, None)
        is_kept = home is not None and not is_below_floor and before == FIRST_POSITION

        async def pull() -> list[PostId]:
            if is_kept:
                await self._open_page(viewer)
            return await self.postgres_breaker.call(lambda: self.store.pull_feed(viewer, before=before, limit=limit))

        # The generation in the key: who comes after their own write never joins a read from before it.
        post_ids = await self.flights.share((viewer, before, limit, generation), pull)
        _reads.labels("below_floor" if is_below_floor else "pull").inc()
        if is_kept and len(post_ids) == limit:
            await self._fill_page(viewer, post_ids, generation)
        return Skeleton(post_ids, len(post_ids) < limit, generation, home if is_below_floor else None)

    async def _open_page(self, viewer: UserId) -> None:
        try:
            await self.timelines.open_page(viewer)
        except TROUBLE as error:
            _log.warning("page_not_opened", error=type(error).__name__)

    async def _fill_page(self, viewer: UserId, post_ids: list[PostId], generation: int) -> None:
        try:
            await self.timelines.fill_page(viewer, post_ids, generation=generation)
        except TROUBLE as error:
            _log.warning("page_not_kept", error=type(error).__name__)

    async def _generation(self, viewer: UserId) -> int:
        generation = await self.postgres_breaker.call(lambda: self.store.generation(viewer))
        if generation is None:
            raise UserNotFound
        return generation

    async def _standings(self, viewer: UserId, post_ids: Sequence[PostId]) -> list[Standing]:
        if not post_ids:
            return []
        found = await self.postgres_breaker.call(lambda: self.store.standings(viewer, post_ids))
        return [found[post_id] for post_id in post_ids if post_id in found]

    async def _repair(self, viewer: UserId, skeleton: Skeleton, standings: Sequence[Standing]) -> None:
        """Remove from the timeline what the rules dropped, so that it does not take up place; and those whom the viewer
        has left from its pulled authors.
        """
        gone = [one.post_id for one in standings if not is_visible(one, viewer)]
        home = skeleton.home
        if home is None or not gone:
            return
        left = home.pulled & {one.author_id for one in standings if not one.is_followed}
        try:
            await self.timelines.remove_posts(viewer, gone, generation=skeleton.generation)
            if left:
                await self.timelines.note_pulled(
                    viewer, home.pulled - left, generation=skeleton.generation, as_of_ms=home.pulled_ms
                )
        except TROUBLE as error:
            _log.warning("timeline_not_repaired", error=type(error).__name__)

    async def _touch(self, viewer: UserId, home: Home) -> None:
        """Once an hour note that the timeline is read, so that it stays and fan-out reaches it."""
        if home.life_ms > LIFE_MS - TOUCH_MS:
            return
        try:
            await self.store.touch_timeline(viewer)
            await self.timelines.keep_alive(viewer)
        except (*TROUBLE, Unavailable) as error:
            _log.warning("timeline_not_touched", error=type(error).__name__)

    async def _stale(self, viewer: UserId, *, size: int, before: PostId) -> Page | None:
        """Return what can be shown without Postgres: the timeline in Redis, else the last known first page."""
        home = await self._read_home(viewer, before=before, limit=size + 1)
        if home is not None and home.is_usable and home.post_ids:
            views = tuple(await self.hydrate.at_hand(home.post_ids[:size]))
            if len(views) == len(home.post_ids[:size]):
                return Page(views, home.post_ids[:size][-1], is_stale=True)
        return self.pages.get(viewer, page_size=size) if before == FIRST_POSITION else None
