"""Redis: claims of idempotency keys, and the pending inbox.

| key | type | holds | life | written by | read by | rebuilt from |
| --- | --- | --- | --- | --- | --- | --- |
| `dm:key:{<sender>}:<message id>` | string | what a key was used for | 5 minutes | send | send | log and tables |
| `dm:inbox:{<user id>}` | sorted set | entries by `useq` | 30 days | log worker | replay | Postgres |

A claim covers the moments in which a key is used but not yet in the tables: the same key for two people goes to two
partitions, which don't know of each other. Without Redis the log worker still sets the second one aside.

The pending inbox is a cache: entries are used only where they are contiguous and reach the head that Postgres tells,
so a lost write costs a read of Postgres and nothing else. A message that is taken back drops the whole set.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from redis.exceptions import ResponseError

from dm_svc.domain.values import EntryKind, InboxEntry, MessageId, UserId
from dm_svc.wire import pack_inbox_entry, unpack_inbox_entry
from mesh import redis
from mesh.redis import AnyRedis
from mesh.redis_bulk import Bulk, request

CLAIM_SECONDS = b"300"
PENDING_SECONDS = b"%d" % (30 * 24 * 3600)
PENDING_ENTRIES = b"500"
"""Entries kept for a person; who was away for more reads Postgres."""
PUSH = (b"FCALL", b"heliograph_push_pending", b"1")
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

    async def load_functions(self) -> None:
        """Install the server-side functions; safe to repeat."""
        await redis.load_functions(self._client, __package__, "lua/pending.lua")

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

    async def push(self, entries: Sequence[InboxEntry]) -> None:
        """Add entries to the pending inboxes. Safe to repeat."""
        try:
            await self._push(entries)
        except ResponseError:
            # A Redis that was set up anew has lost the function.
            await self.load_functions()
            await self._push(entries)

    async def _push(self, entries: Iterable[InboxEntry]) -> None:
        by_user = _by_user(entries)
        await self._bulk.each(
            np.array([user_id for user_id, _, _ in by_user], dtype=np.int64),
            [
                request(
                    *PUSH,
                    _inbox_key(user_id).encode(),
                    PENDING_ENTRIES,
                    PENDING_SECONDS,
                    b"1" if must_drop else b"0",
                    *(part for member, useq in pending.items() for part in (b"%d" % useq, member)),
                )
                for user_id, pending, must_drop in by_user
            ],
        )

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


def _by_user(entries: Iterable[InboxEntry]) -> list[tuple[UserId, dict[bytes, int], bool]]:
    pending: dict[UserId, dict[bytes, int]] = {}
    dropped: set[UserId] = set()
    for entry in entries:
        if entry.kind is EntryKind.UNSENT:
            # What was taken back must not be read from here again.
            dropped.add(entry.user_id)
            pending[entry.user_id] = {}
        member = pack_inbox_entry(entry)
        pending.setdefault(entry.user_id, {})[member] = entry.useq
    return [(user_id, members, user_id in dropped) for user_id, members in pending.items()]


def _inbox_key(user_id: UserId) -> str:
    return f"dm:inbox:{{{user_id}}}"
