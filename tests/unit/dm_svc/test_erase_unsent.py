"""How what remains of messages that were taken back is removed: side by side."""

import asyncio
from typing import Any, cast

import pytest

from dm_svc.cache import Cache
from dm_svc.domain.values import ConversationId
from dm_svc.events import Log
from dm_svc.peers.media import Media
from dm_svc.store.care import CareStore, PendingErasure
from dm_svc.usecases.erase_unsent import AT_ONCE, EraseUnsent
from mesh import cancellation
from mesh.errors import Unavailable
from tests.fixtures.stack import eventually

WITH_PHOTO = "an upload"


def erasure(sequence: int, upload_id: str | None = None) -> PendingErasure:
    return PendingErasure(0, sequence, upload_id, upload_id and "a reference", ConversationId("1-2"))


class FakeStore:
    """What waits, and what was put off."""

    def __init__(self, waiting: list[PendingErasure]) -> None:
        self.waiting = waiting
        self.postponed: list[PendingErasure] = []

    async def list_erasures(self, *, limit: int) -> list[PendingErasure]:
        return self.waiting[:limit]

    async def remove_erasure(self, one: PendingErasure) -> None:
        self.waiting.remove(one)

    async def postpone_erasure(self, one: PendingErasure) -> None:
        self.postponed.append(one)


class FakeMedia:
    """Hangs until it is told to answer; counts who waits."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.is_away = False
        self.waiting = 0
        self.most_waiting = 0

    async def delete_photo(self, _upload_id: str, *, reference: str) -> None:
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        await self.answers.wait()
        self.waiting -= 1
        if self.is_away:
            raise Unavailable


class Willing:
    """A log and a cache that do what they are asked."""

    async def erase(self, *_: Any, **__: Any) -> None:
        """Erase an entry."""

    async def forget(self, *_: Any) -> None:
        """Drop pending inboxes."""


@pytest.fixture
def media() -> FakeMedia:
    return FakeMedia()


def erasing(store: FakeStore, media: FakeMedia) -> EraseUnsent:
    willing = Willing()
    return EraseUnsent(
        store=cast(CareStore, store), cache=cast(Cache, willing), log=cast(Log, willing), media=cast(Media, media)
    )


async def test_a_photo_whose_removal_hangs_holds_nobody_up(media: FakeMedia) -> None:
    stuck, text = erasure(1, WITH_PHOTO), erasure(2)
    store = FakeStore([stuck, text])

    async def only_the_photo_is_left() -> bool:
        return store.waiting == [stuck]

    round_ = asyncio.create_task(erasing(store, media)())
    try:
        await eventually(only_the_photo_is_left)
        media.answers.set()
        assert await round_ == 2
    finally:
        await cancellation.end([round_])
    assert store.waiting == []


async def test_no_more_are_removed_side_by_side_than_may_be(media: FakeMedia) -> None:
    store = FakeStore([erasure(number, WITH_PHOTO) for number in range(3 * AT_ONCE)])

    async def all_places_are_taken() -> bool:
        return media.waiting == AT_ONCE

    round_ = asyncio.create_task(erasing(store, media)())
    try:
        await eventually(all_places_are_taken)
        media.answers.set()
        assert await round_ == 3 * AT_ONCE
    finally:
        await cancellation.end([round_])
    assert media.most_waiting == AT_ONCE


async def test_what_fails_is_put_off_and_not_counted(media: FakeMedia) -> None:
    failing, text = erasure(1, WITH_PHOTO), erasure(2)
    store = FakeStore([failing, text])
    media.is_away = True
    media.answers.set()
    assert await erasing(store, media)() == 1
    assert store.postponed == store.waiting == [failing]
