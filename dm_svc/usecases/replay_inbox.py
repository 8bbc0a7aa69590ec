"""The inbox log, for whoever keeps devices up to date with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from dm_svc.cache import Cache
from dm_svc.domain import rules
from dm_svc.domain.values import Head, InboxEntry, UserId
from dm_svc.store.reads import ReadStore
from mesh.redis import TROUBLE
from mesh.telemetry import get_logger

_log = get_logger(__name__)


class Resync(Enum):
    """Why a place can't be served."""

    TOO_OLD = 1
    BEYOND_HEAD = 2


@dataclass(frozen=True, slots=True)
class InboxPage:
    """Entries right behind a place, oldest first."""

    entries: tuple[InboxEntry, ...]
    head_useq: int
    is_caught_up: bool
    resync: Resync | None = None


@dataclass(frozen=True, slots=True)
class ReplayInbox:
    """From the pending inbox where it holds all that is asked for, else from Postgres."""

    store: ReadStore
    cache: Cache

    async def __call__(self, viewer: UserId, *, after: int | None, page_size: int) -> InboxPage:
        """Return a page behind `after`; without it only where the inbox ends.

        A place before the oldest kept entry, or beyond the newest one, gets a reason to resync, never a silent hole.
        """
        size = rules.checked_page_size(page_size, default=rules.DEFAULT_REPLAY_SIZE, limit=rules.MAX_REPLAY_SIZE)
        heads = await self.store.get_heads([viewer])
        head = heads.get(viewer) or Head(viewer, head_useq=0, first_useq=1)
        if after is None or after == head.head_useq:
            return InboxPage((), head.head_useq, is_caught_up=True)
        if not 0 <= after < head.head_useq:
            return InboxPage((), head.head_useq, is_caught_up=False, resync=Resync.BEYOND_HEAD)
        if after < head.first_useq - 1:
            return InboxPage((), head.head_useq, is_caught_up=False, resync=Resync.TOO_OLD)
        entries = await self._read(viewer, after=after, head=head.head_useq, limit=size)
        if [entry.useq for entry in entries] != list(range(after + 1, after + 1 + len(entries))) or not entries:
            # Removed for their age since the head was read.
            return InboxPage((), head.head_useq, is_caught_up=False, resync=Resync.TOO_OLD)
        return InboxPage(tuple(entries), head.head_useq, is_caught_up=entries[-1].useq >= head.head_useq)

    async def _read(self, viewer: UserId, *, after: int, head: int, limit: int) -> list[InboxEntry]:
        try:
            pending = await self.cache.read(viewer, after=after, head=head, limit=limit)
        except TROUBLE as error:
            _log.warning("pending_inbox_unread", error=repr(error))
            pending = None
        if pending is not None:
            return pending
        return await self.store.replay_inbox(viewer, after=after, head=head, limit=limit)


@dataclass(frozen=True, slots=True)
class GetInboxHeads:
    """Where inboxes end."""

    store: ReadStore

    async def __call__(self, user_ids: Sequence[UserId]) -> list[int]:
        """Return one `useq` per person, in the same order; 0 for who has no entry."""
        heads = await self.store.get_heads(user_ids)
        return [heads[user_id].head_useq if user_id in heads else 0 for user_id in user_ids]
