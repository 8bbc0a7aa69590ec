"""From post ids to posts as a viewer sees them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from feed_svc.cache import Records
from feed_svc.domain import AuthorSummary, PostId, PostView, Record, Standing, UserId
from feed_svc.store import Store
from feed_svc.wire import Wire
from mesh.redis import TROUBLE
from mesh.telemetry import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class HydratePosts:
    """Batched reads: as many for one post as for fifty. Records come from this process, Redis or Postgres, in turn."""

    store: Store
    records: Records
    wire: Wire

    async def __call__(self, standings: Sequence[Standing]) -> list[PostView]:
        """Return the posts in the order of their standings; one whose author is gone is missing. No rule is applied."""
        posts = [standing.post_id for standing in standings]
        records, authors = await self.look_up(posts, {standing.author_id for standing in standings})
        return [
            PostView(
                record=records[standing.post_id],
                author=authors[standing.author_id],
                like_count=standing.like_count,
                viewer_has_liked=standing.viewer_has_liked,
            )
            for standing in standings
            if standing.post_id in records and standing.author_id in authors
        ]

    async def at_hand(self, posts: Sequence[PostId]) -> list[PostView]:
        """Return the posts that this process or Redis holds, without counters; for when Postgres can't be asked."""
        records, _ = self.records.at_hand(posts, ())
        wanted = [post_id for post_id in posts if post_id not in records]
        records |= (await self._from_redis(wanted, ()))[0]
        writers = {record.author_id for record in records.values()}
        _, authors = self.records.at_hand((), writers)
        authors |= (await self._from_redis((), writers - authors.keys()))[1]
        found = [records[post_id] for post_id in posts if post_id in records]
        return [PostView(one, authors[one.author_id], 0, False) for one in found if one.author_id in authors]

    async def look_up(
        self, posts: Collection[PostId], authors: Collection[UserId]
    ) -> tuple[dict[PostId, Record], dict[UserId, AuthorSummary]]:
        """Return records and profiles, those that exist."""
        records, summaries = self.records.at_hand(posts, authors)
        posts = [post_id for post_id in posts if post_id not in records]
        authors = [author for author in authors if author not in summaries]
        if posts or authors:
            more = await self._from_redis(posts, authors)
            records |= more[0]
            summaries |= more[1]
            posts = [post_id for post_id in posts if post_id not in records]
            authors = [author for author in authors if author not in summaries]
        if posts or authors:
            more = await self._from_postgres(posts, authors)
            records |= more[0]
            summaries |= more[1]
        return records, summaries

    async def _from_redis(
        self, posts: Collection[PostId], authors: Collection[UserId]
    ) -> tuple[dict[PostId, Record], dict[UserId, AuthorSummary]]:
        try:
            return await self.records.get(posts, authors)
        except TROUBLE as error:
            _log.warning("record_read_failed", error=type(error).__name__)
            return {}, {}

    async def _from_postgres(
        self, posts: Collection[PostId], authors: Collection[UserId]
    ) -> tuple[dict[PostId, Record], dict[UserId, AuthorSummary]]:
        found = await self.store.get_posts(posts) if posts else {}
        records = [self.wire.record(post) for post in found.values()]
        profiles = await self.store.get_profiles(authors) if authors else []
        summaries = [self.wire.summary(profile) for profile in profiles]
        self.records.keep(records, summaries)
        try:
            await self.records.put(records, summaries)
        except TROUBLE as error:
            _log.warning("record_write_failed", error=type(error).__name__)
        return {one.post_id: one for one in records}, {one.user_id: one for one in summaries}
