"""When new entries are written to the pending inboxes."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from dm_svc.cache import Cache
from dm_svc.domain.values import ConversationId, EntryKind, InboxEntry, UserId
from dm_svc.usecases.fill_pending import GATHER_SECONDS, FillPending
from mesh import cancellation
from tests.fixtures.stack import eventually


class FakeCache:
    """Remembers what was written together; refuses while it `is_away`."""

    def __init__(self) -> None:
        self.written: list[list[int]] = []
        self.is_away = False
        self.refused = 0

    async def push(self, entries: Iterable[InboxEntry]) -> None:
        await asyncio.sleep(0.01)
        if self.is_away:
            self.refused += 1
            raise RedisConnectionError
        self.written.append([entry.useq for entry in entries])


@pytest.fixture
def cache() -> FakeCache:
    return FakeCache()


@pytest.fixture
async def fill(cache: FakeCache) -> AsyncIterator[FillPending]:
    filling = FillPending(cast(Cache, cache))
    loop = asyncio.create_task(filling.run())
    yield filling
    await cancellation.end([loop])


def entries(*useqs: int) -> list[InboxEntry]:
    fields: dict[str, Any] = {"number": 1, "actor_id": UserId(2), "unread_count": 1, "is_accepted": False}
    return [
        InboxEntry(
            user_id=UserId(1),
            useq=useq,
            kind=EntryKind.MESSAGE,
            conversation_id=ConversationId("1-2"),
            commit_time=datetime.now(UTC),
            message=None,
            **fields,
        )
        for useq in useqs
    ]


async def test_what_comes_within_a_moment_is_written_together_and_in_order(cache: FakeCache, fill: FillPending):
    fill(entries(1, 2))
    await asyncio.sleep(0)
    fill(entries(3))
    await eventually(lambda: cache.written == [[1, 2, 3]])
    fill(entries(4))
    await eventually(lambda: cache.written == [[1, 2, 3], [4]])


async def test_at_once_waits_for_nothing_and_passes_nothing_that_is_under_way(cache: FakeCache, fill: FillPending):
    fill(entries(1))
    writing = asyncio.create_task(fill.at_once())
    await asyncio.sleep(0)
    fill(entries(2))
    await fill.at_once()
    assert cache.written == [[1], [2]]
    assert writing.done()


async def test_what_redis_refuses_is_left_out_and_what_follows_is_written(cache: FakeCache, fill: FillPending):
    cache.is_away = True
    fill(entries(1))
    await eventually(lambda: cache.refused == 1)
    cache.is_away = False
    fill(entries(2))
    await eventually(lambda: cache.written == [[2]])


async def test_what_was_written_at_once_is_not_written_again(cache: FakeCache, fill: FillPending):
    fill(entries(1))
    await fill.at_once()
    await asyncio.sleep(2 * GATHER_SECONDS)
    assert cache.written == [[1]]
