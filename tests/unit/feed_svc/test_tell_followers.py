"""Notices of new posts: gathered, at most one a person in two seconds."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from feed_svc.domain import PostId
from feed_svc.usecases import tell_followers
from feed_svc.usecases.tell_followers import TellFollowers


@dataclass
class Told:
    """Events, as far as notices go."""

    notices: list[tuple[int, int, int]] = field(default_factory=list)

    async def feed_changed(self, user: int, *, new_post_count: int, newest_post_id: int) -> None:
        self.notices.append((user, new_post_count, newest_post_id))


def people(*ids: int) -> Any:
    return np.array(ids, dtype=np.int64)


async def test_posts_of_two_seconds_are_told_together() -> None:
    now = 100.0
    told = Told()
    tell = TellFollowers(told, now=lambda: now)  # type: ignore[arg-type]
    tell.note(people(1, 2), PostId(10))
    await tell.round()
    assert told.notices == [(1, 1, 10), (2, 1, 10)]
    tell.note(people(1), PostId(12))
    tell.note(people(1), PostId(11))
    now += 1.9
    await tell.round()
    assert len(told.notices) == 2, "told again within two seconds"
    now += 0.2
    await tell.round()
    assert told.notices[2:] == [(1, 2, 12)]
    await tell.round()
    assert len(told.notices) == 3


async def test_a_round_tells_a_bounded_number_and_the_next_one_the_others(monkeypatch) -> None:
    monkeypatch.setattr(tell_followers, "NOTICES_AT_ONCE", 2)
    told = Told()
    tell = TellFollowers(told, now=lambda: 100.0)  # type: ignore[arg-type]
    tell.note(people(1, 2, 3), PostId(10))
    await tell.round()
    assert [user for user, _, _ in told.notices] == [1, 2]
    await tell.round()
    assert [user for user, _, _ in told.notices] == [1, 2, 3]


async def test_what_waits_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr(tell_followers, "PEOPLE_AT_MOST", 2)
    told = Told()
    tell = TellFollowers(told, now=lambda: 100.0)  # type: ignore[arg-type]
    tell.note(people(1, 2, 3), PostId(10))
    tell.note(people(4), PostId(11))
    await tell.round()
    assert len(told.notices) == 2
