import time
from typing import Any

import pytest
from graphql import GraphQLInterfaceType

from gateway import ids
from mesh.errors import Unavailable
from mesh.grpc.calls import deadline
from tests.unit.gateway.conftest import SCHEMA, Asker
from tests.unit.gateway.world import World

HOME = """{
  feed(first: 20) {
    edges { node {
      id author { id username avatarUrl } photoUrl(width: 640) caption createdAt likeCount viewerHasLiked
    } }
    pageInfo { hasNextPage endCursor }
  }
  storyTray { author { username } hasUnseen stories { id photoUrl expiresAt viewerHasSeen } }
}"""


async def test_home_costs_two_calls(ask: Asker, world: World) -> None:
    answer = await ask(HOME)
    assert "errors" not in answer
    assert sorted(name for name, _ in world.calls) == ["GetHomeFeed", "GetStoryTray"]
    first = answer["data"]["feed"]["edges"][0]["node"]
    assert first["caption"] == "mine"
    assert first["createdAt"] == "2026-07-14T09:30:00.140Z"
    assert first["photoUrl"].endswith("/640.webp")
    assert len(answer["data"]["feed"]["edges"]) == 20
    assert [reel["author"]["username"] for reel in answer["data"]["storyTray"]] == ["bob", "carol", "alice"]


async def test_the_half_that_is_there_renders_when_the_other_service_is_away(ask: Asker, world: World) -> None:
    world.failing["GetStoryTray"] = Unavailable()
    for query in (HOME, "{ home " + HOME + " }"):
        answer = await ask(query)
        data = answer["data"].get("home", answer["data"])
        assert len(data["feed"]["edges"]) == 20
        assert data["storyTray"] is None
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["UNAVAILABLE"]


async def test_every_call_bears_the_viewer(ask: Asker, world: World) -> None:
    await ask(HOME, user_id=2)
    assert {person for _, person in world.calls} == {2}


async def test_lists_of_people_cost_one_call_each(ask: Asker, world: World) -> None:
    await ask("{ feed { edges { node { author { followerCount viewerFollows } } } } }")
    assert sorted(name for name, _ in world.calls) == ["BatchGetUsers", "CheckRelations", "GetHomeFeed"]


THINGS = {
    "bob": ids.encode("User", 2),
    "talk": ids.encode("Conversation", "1-2"),
    "story": ids.encode("Story", 904),
    "key": "72000000-0000-4000-8000-000000000000",
}
SHOWN = "fragment Shown on Post { id caption author { username } likeCount }"
TEN_POSTS = " ".join(
    f'p{number}: post(id: "{ids.encode("Post", 101 + number)}") {{ ...Shown }}' for number in range(10)
)


@pytest.mark.parametrize(
    ("query", "calls"),
    [
        (f"{{ home {HOME} }}", ["GetHomeFeed", "GetStoryTray"]),
        (f"{{ a: home {HOME} b: home {HOME} }}", ["GetHomeFeed", "GetStoryTray"]),
        ("{ viewer { username avatarUrl followerCount followingCount postCount } }", ["BatchGetUsers"]),
        (
            """{ user(username: "bob") {
                username followerCount viewerFollows posts { edges { node { ...Shown } } }
            } }"""
            + SHOWN,
            ["CheckRelations", "GetUserByUsername", "ListPostsByAuthor"],
        ),
        (
            """{ conversations { edges { node {
                unreadCount other { username } lastMessage { content sender { username } }
            } } } }""",
            ["BatchGetUsers", "ListConversations"],
        ),
        (
            """query ($talk: ID!) { conversation(id: $talk) {
                other { username } messages { edges { node { number content isRead sender { username } } } }
            } }""",
            ["BatchGetConversations", "BatchGetUsers", "ListMessages"],
        ),
        (f"{{ {TEN_POSTS} }} {SHOWN}", ["BatchGetPosts"]),
        (
            "query ($bob: ID!) { stories(userId: $bob) { id photoUrl author { username avatarUrl } } }",
            ["BatchGetUsers", "ListStories"],
        ),
        (
            """query ($story: ID!) { node(id: $story) { ... on Story {
                viewers { edges { node { username viewerFollows } } }
            } } }""",
            ["BatchGetStories", "BatchGetUsers", "CheckRelations", "ListViewers"],
        ),
        (
            """mutation ($bob: ID!, $key: String!) {
                sendMessage(input: {recipientId: $bob, content: "hi", clientMessageId: $key}) {
                    message { number content sender { username } }
                }
            }""",
            ["BatchGetUsers", "SendMessage"],
        ),
    ],
)
async def test_a_document_costs_one_call_for_each_kind_of_thing_in_it(
    ask: Asker, world: World, query: str, calls: list[str]
) -> None:
    answer = await ask(query, **THINGS)
    assert "errors" not in answer, answer
    assert sorted(name for name, _ in world.calls) == calls


async def test_a_feed_is_paged_to_its_end(ask: Asker) -> None:
    seen, after = [], None
    while True:
        answer = await ask(
            "query ($after: String) { feed(first: 7, after: $after) { edges { cursor node { id } } "
            "pageInfo { hasNextPage endCursor } } }",
            after=after,
        )
        page = answer["data"]["feed"]
        seen += [edge["node"]["id"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
        assert page["edges"][-1]["cursor"] == after
    assert len(seen) == len(set(seen)) == 31


async def test_page_sizes_outside_1_to_50_are_refused(ask: Asker) -> None:
    for first in (0, -1, 51):
        answer = await ask("query ($first: Int!) { feed(first: $first) { isStale } }", first=first)
        assert answer["errors"][0]["extensions"]["code"] == "PAGE_SIZE_INVALID"
        assert answer["errors"][0]["extensions"]["maxPageSize"] == 50


async def test_a_node_of_every_kind_is_found_by_its_id(ask: Asker) -> None:
    keys = {
        "User": 2,
        "Post": 101,
        "Story": 901,
        "Conversation": "1-2",
        "Message": "10000000-0000-4000-8000-000000000000",
        "Upload": "20000000-0000-4000-8000-000000000001",
    }
    node = SCHEMA.get_type("Node")
    assert isinstance(node, GraphQLInterfaceType)
    assert set(keys) == {kind.name for kind in SCHEMA.get_possible_types(node)}
    for kind, key in keys.items():
        answer = await ask("query ($id: ID!) { node(id: $id) { __typename id } }", id=ids.encode(kind, key))
        assert answer == {"data": {"node": {"__typename": kind, "id": ids.encode(kind, key)}}}


async def test_absent_and_forbidden_nodes_look_the_same(ask: Asker) -> None:
    pairs = [("Post", 150, 99_999), ("User", 5, 99_999), ("Conversation", "2-3", "2-99")]
    for kind, forbidden, absent in pairs:
        query = "query ($id: ID!) { node(id: $id) { id } }"
        answers = [await ask(query, id=ids.encode(kind, key)) for key in (forbidden, absent)]
        assert answers[0] == answers[1] == {"data": {"node": None}}


async def test_reading_one_thing_says_why_it_is_not_there(ask: Asker) -> None:
    cases = [
        ("post", ids.encode("Post", 9), "POST_NOT_FOUND"),
        ("user", ids.encode("User", 9), "USER_NOT_FOUND"),
        ("conversation", ids.encode("Conversation", "1-9"), "CONVERSATION_NOT_FOUND"),
        ("upload", ids.encode("Upload", "30000000-0000-4000-8000-000000000001"), "UPLOAD_NOT_FOUND"),
        ("post", ids.encode("User", 2), "ID_INVALID"),
        ("post", "rubbish", "ID_INVALID"),
    ]
    for field, one, code in cases:
        answer = await ask(f"query ($id: ID!) {{ {field}(id: $id) {{ id }} }}", id=one)
        assert answer["data"] == {field: None}
        assert answer["errors"][0]["extensions"]["code"] == code


async def test_messages_are_paged_both_ways_in_the_order_of_their_numbers(ask: Asker, world: World) -> None:
    for index in range(3, 45):
        world.say(1, 2, f"Hello {index}", f"10000000-0000-4000-8000-{index:012}")
    one = "edges { cursor node { number content } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
    seen: list[int] = []
    before = None
    while True:
        answer = await ask(
            "query ($id: ID!, $before: String) { conversation(withUserId: $id) { messages(last: 10, before: $before) {"
            + one
            + "} } }",
            id=ids.encode("User", 2),
            before=before,
        )
        page = answer["data"]["conversation"]["messages"]
        seen = [edge["node"]["number"] for edge in page["edges"]] + seen
        before = page["pageInfo"]["startCursor"]
        if not page["pageInfo"]["hasPreviousPage"]:
            break
    assert seen == list(range(1, 46))
    forward = await ask(
        "query ($id: ID!) { conversation(withUserId: $id) { messages(first: 10) {" + one + "} } }",
        id=ids.encode("User", 2),
    )
    page = forward["data"]["conversation"]["messages"]
    assert [edge["node"]["number"] for edge in page["edges"]] == list(range(1, 11))
    assert page["pageInfo"]["hasNextPage"]


async def test_nobody_reads_without_a_token(ask: Asker, world: World) -> None:
    answer = await ask(HOME, user_id=None)
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"UNAUTHENTICATED"}
    assert world.calls == []


async def test_what_goes_wrong_inside_is_masked(ask: Asker, world: World) -> None:
    async def broken(_method: str, _request: object) -> None:
        raise RuntimeError("secret: postgresql://...")

    world.call = broken  # type: ignore[method-assign]
    answer = await ask("{ viewer { id } }")
    assert answer["errors"][0]["extensions"]["code"] == "INTERNAL"
    assert "secret" not in str(answer)


async def test_a_request_ends_at_its_deadline(world: World) -> None:
    world.slow["GetStoryTray"] = 30
    ask = Asker(world, request_seconds=0.2)
    answer = await ask(HOME)
    assert answer["errors"][0]["extensions"]["code"] == "DEADLINE_EXCEEDED"


async def test_every_call_gets_what_is_left_of_the_requests_time(ask: Asker, world: World) -> None:
    left: list[float] = []
    answer_of = world.call

    async def noted(method: str, request: Any) -> Any:
        until = deadline.get()
        assert until is not None
        left.append(until - time.monotonic())
        return await answer_of(method, request)

    world.call = noted  # type: ignore[method-assign]
    await ask.alone("{ feed { edges { node { author { followerCount viewerFollows } } } } }")
    assert len(left) == 3
    assert all(0 < seconds <= 5 for seconds in left)
    assert left[0] > min(left[1:]), "calls that follow have less of it"
