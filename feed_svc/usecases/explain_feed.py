"""Say for each post of a feed why it is there, or why it was dropped."""

from collections.abc import Sequence
from dataclasses import dataclass

from feed_svc.cache import Timelines
from feed_svc.domain import (
    COMPLETE,
    DropRule,
    Explanation,
    PostId,
    TimelineState,
    UserId,
    checked_explain_size,
    drop_rule,
    entry_source,
    merge_newest_first,
)
from feed_svc.errors import UserNotFound
from feed_svc.store import Store
from mesh.clock import from_ms
from mesh.ids import created_at


@dataclass(frozen=True, slots=True)
class ExplainFeed:
    """Everything that a read would consider, and what became of it. Changes nothing."""

    store: Store
    timelines: Timelines

    async def __call__(
        self, user: UserId, *, page_size: int, before: PostId
    ) -> tuple[TimelineState, Sequence[Explanation], PostId | None]:
        """Return the state of the timeline, a page of explanations, newest first, and where to go on."""
        size = checked_explain_size(page_size)
        if await self.store.generation(user) is None:
            raise UserNotFound
        known, mark = await self.timelines.members_of(user)
        build_time = from_ms(mark.built_ms) if mark is not None else None
        pulled = await self.store.pull_feed(user, before=before, limit=size + 1)
        considered = merge_newest_first([one for one in known if one < before], pulled)
        page = considered[:size]
        state = TimelineState(
            exists=mark is not None,
            entry_count=len(known),
            floor_time=created_at(mark.floor) if mark is not None and mark.floor != COMPLETE else None,
            build_time=build_time,
            last_read_time=await self.store.last_read_time(user) if mark is not None else None,
            pulled_author_count=len(await self.store.pulled_authors_of(user)),
        )
        facts = await self.store.explain_posts(user, page)
        standings = await self.store.standings(user, page)
        entries = [
            Explanation(
                facts=facts[post_id],
                source=entry_source(facts[post_id], user, stored=set(known), build_time=build_time),
                dropped_by=drop_rule(standings[post_id], user)
                if facts[post_id].author_exists
                else DropRule.AUTHOR_GONE,
            )
            for post_id in page
            if post_id in facts and post_id in standings
        ]
        return state, entries, page[-1] if len(considered) > size else None
