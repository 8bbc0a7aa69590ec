"""Plans answer with the bytes of graphql-core, for any document, whatever the services do."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from gateway.execution import leaves, plans, steps
from gateway.execution.fragments import Known, written
from gateway.execution.plans import Plans
from mesh.errors import HeliographError, NotFound, Unavailable
from tests import authorisation
from tests.authorisation import ROWS
from tests.unit.gateway.conftest import SCHEMA, Asker
from tests.unit.gateway.documents import documents
from tests.unit.gateway.test_matrix import THINGS, alices_world
from tests.unit.gateway.test_queries import HOME
from tests.unit.gateway.world import World, furnished

METHODS = ("GetHomeFeed", "GetStoryTray", "BatchGetUsers", "CheckRelations", "ListPostsByAuthor", "ListConversations")
WORLD = furnished()


def by_plans() -> int:
    return int(plans.by_plan._value.get())


# Where a null takes its parent with it, graphql-core cancels the siblings before they have begun, and what was to be
# awaited in them is not. Plans leave nothing of theirs behind.
@pytest.mark.filterwarnings(r"ignore:coroutine '(GraphQLCoreConverter|Executor)\..*was never awaited:RuntimeWarning")
@pytest.mark.filterwarnings(
    r"ignore:Exception ignored in. <coroutine object (GraphQL|Executor):pytest.PytestUnraisableExceptionWarning"
)
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(documents(), st.sampled_from([1, 1, 1, 2, 4, None]), st.sets(st.sampled_from(METHODS), max_size=2))
def test_G4_any_document_is_answered_with_the_same_bytes(
    question: tuple[str, dict[str, Any]], user_id: int | None, failing: set[str]
) -> None:
    world = deepcopy(WORLD)
    world.failing.update(dict.fromkeys(failing, Unavailable()))
    before = by_plans()
    ask = Asker(world)

    async def twice() -> None:
        for _ in range(2):  # the second time what records have come to is remembered
            await ask.raw(question[0], user_id, **question[1])

    asyncio.run(twice())
    event("by a plan" if by_plans() > before else "by graphql-core")


@pytest.mark.parametrize("row", [row for row in ROWS if row.startswith("Query.")])
async def test_every_field_that_can_be_read_is_answered_by_a_plan(row: str) -> None:
    answered, before = 0, by_plans()
    for document in authorisation.documents_of(SCHEMA, row):
        names = authorisation.variables_of(ROWS[row].arguments)
        answer = await Asker(alices_world()).raw(document, **{name: THINGS.get(name) for name in names})
        answered += b'"errors"' not in answer
    assert answered
    assert by_plans() - before == answered


@pytest.mark.parametrize(
    "query",
    [
        HOME,
        "{ home " + HOME + " }",
        "{ feed { edges { cursor node { ...P } } } } fragment P on Post { author { posts { isStale: __typename } } }",
        "{ viewer { viewerFollows followerCount createdAt } }",
        "{ conversations { edges { node { state other { username } messages(last: 2) { edges { cursor } } } } } }",
        '{ a: stories(userId: "VXNlcjoy") { author { followerCount } viewers { totalCount } } }',
        '{ node(id: "UG9zdDoxMDE") { __typename id ... on Post { caption } ... on User { username } } }',
        'mutation { likePost(input: {postId: "UG9zdDoxMDE"}) { post { likeCount } } }',
    ],
)
async def test_what_apps_ask_for_is_answered_by_a_plan(query: str, ask: Asker) -> None:
    before = by_plans()
    assert b'"errors"' not in await ask.raw(query)
    assert by_plans() == before + 1


async def test_a_plan_makes_the_calls_that_graphql_core_makes(world: World) -> None:
    author = "author { followerCount viewerFollows postCount }"
    query = "{ home { feed { edges { node { " + author + " } } } storyTray { " + author + " } } }"
    by_core = Asker(deepcopy(world), compiled=False)
    await Asker(world).alone(query)
    await by_core.alone(query)
    assert Counter(world.calls) == Counter(by_core.world.calls)


@pytest.mark.parametrize("failing", ["GetStoryTray", "GetHomeFeed"])
async def test_graphql_core_takes_over_without_fetching_anything_again(failing: str, world: World) -> None:
    world.failing[failing] = Unavailable()
    await Asker(world).alone('{ viewer { id } user(username: "bob") { id } ' + HOME[1:])
    assert Counter(name for name, _ in world.calls) == dict.fromkeys(
        ["BatchGetUsers", "GetUserByUsername", "GetHomeFeed", "GetStoryTray"], 1
    )


async def test_only_root_fields_are_taken_over(world: World) -> None:
    """A field below may bear the key of a root field."""
    world.failing["CheckRelations"] = Unavailable()
    below = 'user(id: "VXNlcjoy") { viewerFollows }'
    query = "{ home { viewer: feed { isStale } } viewer { viewerFollows: username } " + below + " }"
    answer = orjson.loads(await Asker(world).raw(query))
    assert answer["data"]["viewer"] == {"viewerFollows": "alice"}
    assert [error["path"] for error in answer["errors"]] == [["user", "viewerFollows"]]


async def test_a_mutation_that_surprises_its_plan_is_not_carried_out_again(world: World) -> None:
    query = 'mutation { likePost(input: {postId: "UG9zdDoxMDE"}) { post { author { viewerFollows } } } }'
    world.failing["CheckRelations"] = Unavailable()
    answer = orjson.loads(await Asker(world).raw(query))
    assert answer["data"] is None
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["UNAVAILABLE"]
    assert world.count("LikePost") == 1


async def test_conditions_choose_another_plan_of_the_same_document(ask: Asker) -> None:
    query = "query ($a: Boolean!, $b: Boolean = true) { viewer { id @skip(if: $a) username @include(if: $b) } }"
    seen = [await ask(query, a=a, b=b) for a in (True, False) for b in (True, False)]
    assert [sorted(answer["data"]["viewer"]) for answer in seen] == [["username"], [], ["id", "username"], ["id"]]
    document = ask.documents.by_text(query)
    assert document.plans is not None
    assert len(document.plans._known) == 4


async def test_a_document_has_so_many_plans_and_no_more(ask: Asker) -> None:
    names = [f"v{number}" for number in range(6)]
    declared = " ".join(f"${name}: Boolean!" for name in names)
    fields = " ".join(f"{name}: username @include(if: ${name})" for name in names)
    query = f"query ({declared}) {{ viewer {{ id {fields} }} }}"
    for number in range(40):
        await ask(query, **{name: bool(number >> place & 1) for place, name in enumerate(names)})
    kept = ask.documents.by_text(query).plans
    assert kept is not None
    assert len(kept._known) == plans.KEPT_PLANS


async def test_G4_without_plans_graphql_core_answers_everything(world: World) -> None:
    before = by_plans()
    ask = Asker(world, compiled=False)
    assert await ask.raw(HOME) == await Asker(deepcopy(world)).raw(HOME)
    assert by_plans() == before + 1
    assert ask.documents.by_text(HOME).plans is None


async def test_introspection_is_left_to_graphql_core(ask: Asker) -> None:
    before = by_plans()
    answer = await ask('{ viewer { id } __type(name: "Post") { name } __schema { queryType { name } } }')
    assert answer["data"]["__type"] == {"name": "Post"}
    assert by_plans() == before


@pytest.mark.parametrize("error", [NotFound(), Unavailable(), RuntimeError("secret")])
async def test_what_goes_wrong_below_the_root_is_told_by_graphql_core(error: Exception, world: World) -> None:
    async def broken(method: str, request: object) -> Any:
        if method == "BatchGetUsers":
            raise error
        return getattr(World, method)(world, request)

    world.call = broken  # type: ignore[method-assign]
    answer = orjson.loads(
        await Asker(world).raw("{ feed(first: 2) { edges { node { id author { followerCount } } } } }")
    )
    assert answer["data"] == {"feed": None}
    code = error.reason if isinstance(error, HeliographError) else "INTERNAL"
    assert answer["errors"][0]["extensions"]["code"] == code


def wrong_texts(keys: Iterable[str], answers: dict[str, Any]) -> Known:
    return written(keys, dict.fromkeys(answers, "wrong"))


@pytest.mark.parametrize(
    ("place", "name", "sabotage"),
    [(steps, "written", wrong_texts), (leaves, "_integer", lambda value, _run: value + 1)],
)
async def test_G4_a_plan_that_answers_otherwise_is_caught(
    place: Any, name: str, sabotage: Any, ask: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, name, sabotage)
    with pytest.raises(AssertionError):
        await ask.raw(HOME)


async def test_a_document_whose_compiler_fails_is_still_answered(ask: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(plans, "compile_operation", fails)
    assert "errors" not in await ask(HOME)
    assert isinstance(ask.documents.by_text(HOME).plans, Plans)
    assert SCHEMA is ask.documents.by_text(HOME).schema
