"""What is remembered of records is never stale, and never another selection's."""

from typing import Any

import pytest

from gateway.execution.fragments import ENTRY_BYTES, Fragments, written
from gateway.people.types import User
from gateway.posts.types import Post
from tests.unit.gateway.conftest import Asker
from tests.unit.gateway.world import World

FEED = """query ($width: Int) { feed(first: 2) { edges { node {
    __typename likeCount id caption photoUrl(width: $width) viewerHasLiked author { username }
} } } }"""


def memory(ask: Asker) -> Fragments:
    assert ask.documents._fragments is not None
    return ask.documents._fragments


async def nodes(ask: Asker, **variables: Any) -> list[dict[str, Any]]:
    answer = await ask(FEED, **variables)
    return [edge["node"] for edge in answer["data"]["feed"]["edges"]]


async def test_a_record_is_decoded_once_for_all_viewers(ask: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await ask.alone(FEED)

    def fails(_post: Post) -> Any:
        raise AssertionError

    monkeypatch.setattr(Post, "record", fails)
    assert await ask.alone(FEED) == first


async def test_G4_a_changed_record_and_a_changed_counter_show_at_once(ask: Asker, world: World) -> None:
    before = await nodes(ask)
    world.posts[140].caption = "edited"
    world.likes.add((1, 140))
    after = await nodes(ask)
    assert (before[0]["caption"], after[0]["caption"]) == ("mine", "edited")
    assert after[0]["likeCount"] == before[0]["likeCount"] + 1
    assert (before[0]["viewerHasLiked"], after[0]["viewerHasLiked"]) == (False, True)
    assert before[1] == after[1]


async def test_what_is_the_viewers_is_not_another_viewers(ask: Asker) -> None:
    query = "{ feed { edges { node { id viewerHasLiked author { viewerFollows } } } } }"
    assert await ask(query, user_id=1) != await ask(query, user_id=2)


async def test_other_arguments_have_other_answers(ask: Asker) -> None:
    shown = [(await nodes(ask, width=width))[0]["photoUrl"] for width in (320, 640, 320)]
    assert [url.rpartition("/")[2] for url in shown] == ["320.webp", "640.webp", "320.webp"]


async def test_the_order_of_the_answer_is_that_of_the_document(ask: Asker) -> None:
    for _ in range(2):
        (node, *_) = await nodes(ask)
        assert list(node) == ["__typename", "likeCount", "id", "caption", "photoUrl", "viewerHasLiked", "author"]


async def test_one_selection_does_not_answer_another(ask: Asker) -> None:
    one = "{ feed(first: 1) { edges { node { a: caption } } } }"
    other = "{ feed(first: 1) { edges { node { a: id } } } }"
    answers = [await ask(query) for query in (one, other, one, other)]
    assert answers[:2] == answers[2:]
    assert answers[0] != answers[1]


def test_memory_is_bounded_by_bytes_and_keeps_what_is_used() -> None:
    entry = ENTRY_BYTES + 101
    fragments = Fragments(20 * entry)

    def is_known(number: int) -> bool:
        shelf, record = fragments.shelf(number % 2), bytes([number]) * 100
        return record in shelf.young or shelf.older(record) is not None

    for number in range(100):
        fragments.shelf(number % 2).put(bytes([number]) * 100, written(["a"], {"a": 1}))
        assert is_known(0)
        assert len(fragments) <= 20
    assert is_known(99)
    assert not is_known(50)


async def test_an_author_of_the_tray_is_decoded_once_for_all_viewers(
    ask: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    tray = "{ storyTray { hasUnseen author { id username avatarUrl } } }"
    first = await ask.alone(tray)
    monkeypatch.setattr(User, "known", lambda _user: pytest.fail("a record was decoded"))
    assert await ask.alone(tray) == first


async def test_a_changed_author_shows_at_once_in_the_tray(ask: Asker, world: World) -> None:
    async def names() -> list[str]:
        answer = await ask("{ storyTray { author { username } } }")
        return [reel["author"]["username"] for reel in answer["data"]["storyTray"]]

    assert "bob" in await names()
    world.users[2].username = "robert"
    assert "robert" in await names()


async def test_entries_are_shared_by_requests_and_never_changed_by_them(ask: Asker, world: World) -> None:
    await nodes(ask)
    kept = len(memory(ask))
    world.likes.add((1, 140))
    await nodes(ask)
    assert len(memory(ask)) == kept == 2
