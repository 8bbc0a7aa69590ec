"""Compare rows, caches and photos, and repair what may be repaired."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from mesh.clock import Clock
from mesh.telemetry import get_logger
from story_svc.cache import SHARDS, Cache
from story_svc.domain import (
    DEFAULT_SWEEP_SIZE,
    MAX_SWEEP_SIZE,
    Finding,
    FindingKind,
    Reel,
    StoryId,
    StoryRecord,
    StoryState,
    UserId,
    checked_page_size,
    live_entries,
    parse_reference,
)
from story_svc.peers import Media, MediaCare
from story_svc.store import Store

GRACE = timedelta(hours=1)
"""How old an attachment must be before a missing story counts: publishing takes seconds."""
ORPHAN_REASON = "attached to a story that was never committed, or that is purged"

ROWS, SHARDS_PHASE, PHOTOS = range(3)

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a run stands: which comparison, and how far in it."""

    phase: int = ROWS
    place: str = "0"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One page of a run."""

    checked_count: int
    findings: tuple[Finding, ...]
    next_position: Position | None


@dataclass(frozen=True, slots=True)
class ReconcileStories:
    """Three walks, one after the other: live rows against cache and photos, cache against rows, photos against rows.

    Rows win. What changes while a page is looked at is read a second time before it counts.
    """

    store: Store
    cache: Cache
    clock: Clock
    media: Media
    media_care: MediaCare

    async def __call__(self, position: Position, *, page_size: int, repair: bool) -> Comparison:
        """Look at one page and return what doesn't agree; with `repair`, mend it. Loss is only reported."""
        size = checked_page_size(page_size, default=DEFAULT_SWEEP_SIZE, most=MAX_SWEEP_SIZE)
        if position.phase == ROWS:
            return await self._rows(int(position.place), size, repair=repair)
        if position.phase == SHARDS_PHASE:
            return await self._shard(int(position.place), repair=repair)
        return await self._photos(position.place.removeprefix("token:"), size, repair=repair)

    async def _rows(self, after: int, size: int, *, repair: bool) -> Comparison:
        page = await self.store.page_of_live(after=after, limit=size)
        held = await self.cache.reels.peek({record.author_id for record in page})
        doubtful = [record for record in page if _lacks(held[record.author_id], record)]
        missing = await self._missing_in_cache(doubtful)
        if repair and missing:
            await self.cache.reels.forget({record.author_id for record in missing})
        lost = await self._lost_photos(page)
        findings = [
            *(_finding(FindingKind.ROW_WITHOUT_CACHE, record, is_repaired=repair) for record in missing),
            *(_finding(FindingKind.ROW_WITHOUT_PHOTO, record, is_repaired=False) for record in lost),
        ]
        for record in lost:
            _log.error("story_photo_lost", story_id=record.story_id, upload_id=record.upload_id)
        at_end = len(page) < size
        following = Position(SHARDS_PHASE, "0") if at_end else Position(ROWS, str(page[-1].story_id))
        return Comparison(len(page), tuple(findings), following)

    async def _missing_in_cache(self, doubtful: Sequence[StoryRecord]) -> list[StoryRecord]:
        """Return those that the cache really lacks: published a moment ago is not missing."""
        if not doubtful:
            return []
        truth = await self.store.live_entries({record.author_id for record in doubtful})
        held = await self.cache.reels.peek({record.author_id for record in doubtful})
        return [
            record
            for record in doubtful
            if _lacks(held[record.author_id], record)
            and any(entry.story_id == record.story_id for entry in truth[record.author_id])
        ]

    async def _lost_photos(self, page: Sequence[StoryRecord]) -> list[StoryRecord]:
        absent = await self.media.missing([record.upload_id for record in page])
        return [record for record in page if record.upload_id in absent]

    async def _shard(self, shard: int, *, repair: bool) -> Comparison:
        authors = await self.cache.reels.authors_in(shard)
        stale = await self._stale(authors)
        if stale:
            # Looked at again: between the two reads a story may have ended and its author's reel been loaded.
            stale = await self._stale(list({author for author, _ in stale}))
        if repair and stale:
            await self.cache.reels.forget({author for author, _ in stale})
        findings = tuple(
            Finding(FindingKind.CACHE_WITHOUT_ROW, story_id, author, "", is_repaired=repair)
            for author, story_id in stale
        )
        following = Position(SHARDS_PHASE, str(shard + 1)) if shard + 1 < SHARDS else Position(PHOTOS, "token:")
        return Comparison(len(authors), findings, following)

    async def _stale(self, authors: Sequence[UserId]) -> list[tuple[UserId, StoryId]]:
        held = await self.cache.reels.peek(authors)
        truth = await self.store.live_entries(authors)
        now = self.clock.now()
        return [
            (author, entry.story_id)
            for author, reel in held.items()
            for entry in live_entries(reel or (), now)
            if entry not in truth[author]
        ]

    async def _photos(self, token: str, size: int, *, repair: bool) -> Comparison:
        attached, next_token = await self.media_care.attachments(
            before=self.clock.now() - GRACE, limit=size, page_token=token
        )
        named = [(upload_id, parse_reference(reference)) for upload_id, reference in attached]
        records = await self.store.get_records_by_request([name for _, name in named if name is not None])
        findings = []
        for upload_id, name in named:
            record = records.get(name) if name is not None else None
            if record is None or record.upload_id != upload_id or record.state is StoryState.PURGED:
                finding = Finding(
                    FindingKind.PHOTO_WITHOUT_ROW,
                    record.story_id if record else StoryId(0),
                    name[0] if name else UserId(0),
                    upload_id,
                    is_repaired=False,
                )
                findings.append(await self._purge(finding) if repair else finding)
        return Comparison(
            len(attached), tuple(findings), Position(PHOTOS, f"token:{next_token}") if next_token else None
        )

    async def _purge(self, finding: Finding) -> Finding:
        await self.media_care.purge(finding.upload_id, reason=ORPHAN_REASON)
        return replace(finding, is_repaired=True)


def _lacks(reel: Reel | None, record: StoryRecord) -> bool:
    # None: nothing is held of this author, and whoever reads loads it from Postgres.
    return reel is not None and all(entry.story_id != record.story_id for entry in reel)


def _finding(kind: FindingKind, record: StoryRecord, *, is_repaired: bool) -> Finding:
    return Finding(kind, record.story_id, record.author_id, record.upload_id, is_repaired=is_repaired)
