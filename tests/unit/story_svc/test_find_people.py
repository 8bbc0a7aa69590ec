from types import SimpleNamespace

import pytest

from mesh.errors import Unavailable
from story_svc.domain import Person, UserId
from story_svc.usecases import find_people
from story_svc.usecases.find_people import FRESH_SECONDS, SOON_SECONDS, FindPeople


class Graph:
    """feed_svc, which notes who was asked for."""

    def __init__(self) -> None:
        self.asked: list[set[int]] = []
        self.is_away = False

    async def people(self, user_ids):
        self.asked.append(set(user_ids))
        if self.is_away:
            raise Unavailable
        return {user_id: Person(user_id, b"%d" % len(self.asked)) for user_id in user_ids}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(moment=0.0)
    monkeypatch.setattr(find_people, "time", SimpleNamespace(monotonic=lambda: clock.moment))
    return clock


async def test_people_are_asked_for_again_within_a_minute_and_not_before_they_must(clock: SimpleNamespace):
    graph = Graph()
    find = FindPeople(graph)
    await find([UserId(1)])
    clock.moment = FRESH_SECONDS - SOON_SECONDS - 0.1
    await find([UserId(1)])
    assert graph.asked == [{1}]
    clock.moment = FRESH_SECONDS
    assert (await find([UserId(1)]))[UserId(1)].payload == b"2"


async def test_who_is_due_soon_goes_with_those_who_are_missing(clock: SimpleNamespace):
    graph = Graph()
    find = FindPeople(graph)
    await find([UserId(1)])
    clock.moment = 20.0
    await find([UserId(2)])
    clock.moment = FRESH_SECONDS - SOON_SECONDS
    found = await find([UserId(1), UserId(2), UserId(3)])
    assert set(found) == {1, 2, 3}
    assert graph.asked[-1] == {1, 3}


async def test_while_the_graph_is_away_whatever_was_known_is_shown_and_nobody_is_left_out(clock: SimpleNamespace):
    graph = Graph()
    find = FindPeople(graph)
    await find([UserId(1)])
    clock.moment = 10 * FRESH_SECONDS
    graph.is_away = True
    found = await find([UserId(1), UserId(2)])
    assert found[UserId(1)].payload == b"1"
    assert set(found) == {1, 2}
