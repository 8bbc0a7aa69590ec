"""Redis: claims of idempotency keys, and the pending inbox.

| key | type | holds | life | written by | read by | rebuilt from |
| --- | --- | --- | --- | --- | --- | --- |
| `dm:key:{<sender>}:<message id>` | string | what a key was used for | 5 minutes | send | send | log and tables |
| `dm:inbox:{<user id>}` | sorted set | entries by `useq` | 30 days | log worker | replay | Postgres |

A claim covers the moments in which a key is used but not yet in the tables: the same key for two people goes to two
partitions, which don't know of each other. Without Redis the log worker still sets the second one aside.

The pending inbox is a cache: entries are used only where they are contiguous and reach the head that Postgres tells,
so a lost write costs a read of Postgres and nothing else. A message that is taken back drops the whole set, and once
more when the rest of it is erased, should Redis have been away.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dm_svc.domain.values import EntryKind, InboxEntry, MessageId, UserId
from dm_svc.wire import pack_inbox_entry, unpack_inbox_entry
from mesh.redis import AnyRedis
from mesh.redis_bulk import Bulk, request

CLAIM_SECONDS = b"300"
PENDING_SECONDS = b"%d" % (30 * 24 * 3600)
PENDING_ENTRIES = 500
"""Entries kept for a person; who was away for more reads Postgres."""
TRIM_EVERY = 16
"""How many entries more a pending inbox may hold before it is cut."""
OK = b"+OK"


@dataclass(frozen=True, slots=True)
class Claim:
    """Who uses a key, for which message and body."""

    sender: UserId
    message_id: MessageId
    digest: bytes


class Cache:
    """The service's Redis."""

    def __init__(self, client: AnyRedis, bulk: Bulk) -> None:
        self._client = client
        self._bulk = bulk

    async def claim_keys(self, claims: Sequence[Claim]) -> list[bytes | None]:
        """Claim idempotency keys for bodies; return for each what it was claimed for before, `None` when it was
        free.
        """
        keys = [b"dm:key:{%d}:%b" % (claim.sender, claim.message_id.encode()) for claim in claims]
        taken = await self._bulk.each(
            np.array([claim.sender for claim in claims], dtype=np.int64),
            [
                request(b"SET", key, claim.digest, b"EX", CLAIM_SECONDS, b"NX")
                for key, claim in zip(keys, claims, strict=True)
            ],
        )
        return [None if reply == OK else await self._claimed(key) for key, reply in zip(keys, taken, strict=True)]

    async def _claimed(self, key: bytes) -> bytes | None:
        """Seldom: of a retry, or of a key that is used again."""
        found: Any = await self._client.get(key)
        return found if isinstance(found, bytes) else None

    async def push(self, entries: Iterable[InboxEntry]) -> None:
        """Add entries to the pending inboxes, which keep the newest ones. Safe to repeat."""
        asked = [
            (user_id, wanted)
            for user_id, pending in _by_user(entries).items()
            for wanted in _additions(_inbox_key(user_id).encode(), pending)
        ]
        await self._bulk.each(
            np.array([user_id for user_id, _ in asked], dtype=np.int64), [wanted for _, wanted in asked]
        )

    async def forget(self, user_ids: Iterable[UserId]) -> None:
        """Drop pending inboxes. Safe to repeat."""
        for user_id in user_ids:
            await self._client.delete(_inbox_key(user_id))

    async def read(self, user_id: UserId, *, after: int, head: int, limit: int) -> list[InboxEntry] | None:
        """Return up to `limit` entries right behind `after`, oldest first; `None` when they aren't all here."""
        wanted = min(limit, head - after)
        members: Any = await self._client.zrange(
            _inbox_key(user_id), after + 1, after + wanted, byscore=True, offset=0, num=wanted
        )
        entries = [unpack_inbox_entry(member) for member in members]
        if [entry.useq for entry in entries] != list(range(after + 1, after + wanted + 1)):
            return None
        return entries


def _by_user(entries: Iterable[InboxEntry]) -> dict[UserId, list[InboxEntry]]:
    by_user: dict[UserId, list[InboxEntry]] = {}
    for entry in entries:
        by_user.setdefault(entry.user_id, []).append(entry)
    return by_user


def _additions(key: bytes, entries: list[InboxEntry]) -> Iterator[bytes]:
    """Yield what adds a person's entries. It may be cut short anywhere: a part of them is a pending inbox too."""
    unsent = [place for place, entry in enumerate(entries) if entry.kind is EntryKind.UNSENT]
    if unsent:
        # What was taken back must not be read from here again.
        yield request(b"DEL", key)
        entries = entries[unsent[-1] :]
    yield request(b"ZADD", key, *(part for entry in entries for part in (b"%d" % entry.useq, pack_inbox_entry(entry))))
    yield request(b"EXPIRE", key, PENDING_SECONDS)
    if any(entry.useq % TRIM_EVERY == 0 for entry in entries):
        yield request(b"ZREMRANGEBYRANK", key, b"0", b"-%d" % (PENDING_ENTRIES + 1))


def _inbox_key(user_id: UserId) -> str:
    return f"dm:inbox:{{{user_id}}}"
