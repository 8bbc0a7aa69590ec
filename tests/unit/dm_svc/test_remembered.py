"""Conversations as their owner last wrote them."""

from dm_svc.domain.fold import Thread
from dm_svc.domain.values import ConversationId, UserId
from dm_svc.store.remembered import Remembered


def thread(number: int) -> Thread:
    return Thread(ConversationId(f"1-{number}"), UserId(1), UserId(number), last_number=number)


def test_what_was_taken_is_forgotten_until_it_is_kept_again() -> None:
    remembered = Remembered()
    fences = {ConversationId("1-2"): 7, ConversationId("1-3"): 7}
    remembered.keep(fences, [thread(2)])
    assert remembered.take(fences) == {ConversationId("1-2"): thread(2)}
    assert remembered.take(fences) == {}


def test_another_fence_is_another_owner() -> None:
    """Also when this process was the owner before: somebody else may have been in between."""
    remembered = Remembered()
    remembered.keep({ConversationId("1-2"): 7}, [thread(2)])
    assert remembered.take({ConversationId("1-2"): 8}) == {}
    assert remembered.take({ConversationId("1-2"): 7}) == {}


def test_the_latest_ones_are_remembered() -> None:
    remembered = Remembered(most=2)
    fences = {ConversationId(f"1-{number}"): 1 for number in (2, 3, 4)}
    remembered.keep(fences, [thread(2), thread(3)])
    remembered.keep(fences, [*remembered.take({ConversationId("1-2"): 1}).values(), thread(4)])
    assert remembered.take(fences).keys() == {"1-2", "1-4"}
