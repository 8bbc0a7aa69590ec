"""G3: every root field x {owner, other member, blocked, stranger, anonymous}, on Alice's things.

A root field without a row fails: whoever adds one says in `tests/authorisation.py` who may use it. The services decide;
what is tested here is that the gateway passes the right person on, adds no hole, and opens nothing to those without a
token. `tests/e2e/test_authorisation.py` asks the same of the real services.
"""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from graphql import GraphQLField, GraphQLInt, GraphQLSchema

from gateway import ids, schema
from gateway.documents import Documents
from gateway.engine import Caller, Request
from gateway.messages.events import scope
from heliograph.events.v1.live_events_pb2 import LiveEvent
from mesh.auth import set_viewer
from tests import authorisation
from tests.authorisation import PEOPLE, ROWS, Role
from tests.unit.gateway.conftest import SCHEMA, Asker, viewer
from tests.unit.gateway.world import World, furnished

USER_IDS = {Role.OWNER: 1, Role.OTHER: 2, Role.STRANGER: 4, Role.BLOCKED: 6, Role.ANONYMOUS: None}
UPLOAD = ids.encode("Upload", "20000000-0000-4000-8000-000000000001")
THINGS: dict[str, str] = {
    "alice": ids.encode("User", 1),
    "post": ids.encode("Post", 140),
    "story": ids.encode("Story", 904),
    "talk": ids.encode("Conversation", "1-2"),
    "request": ids.encode("Conversation", "1-4"),
    "message": ids.encode("Message", "10000000-0000-4000-8000-000000000000"),
    "upload": UPLOAD,
    "pendingUpload": UPLOAD,
    "storyUpload": UPLOAD,
    "key": "70000000-0000-4000-8000-000000000000",
}
SECRETS = {
    "caption of Alice": authorisation.UNBLOCKED,
    "http://private.example/904/": authorisation.MEMBERS,
    "Hello 0": authorisation.MEMBERS,
    "Hello 1": authorisation.MEMBERS,
    THINGS["talk"]: authorisation.MEMBERS,
    UPLOAD: authorisation.OWNER,
}
DOCUMENTS = Documents(SCHEMA, introspection=True)

NewWorld = Callable[[], World]


def alices_world() -> World:
    world = furnished()
    world.posts[140].caption = "caption of Alice"
    world.person(USER_IDS[Role.BLOCKED] or 0, "frank")
    world.blocks.add((1, 6))
    world.say(4, 1, "may I?", "71000000-0000-4000-8000-000000000000")
    world.requests.add(("1-4", 1))
    return world


async def problems_of(row: str, new_world: NewWorld = alices_world, documents: Documents = DOCUMENTS) -> list[str]:
    """What is wrong with the answers of a row; each is given in a world of its own."""
    problems = []
    for role in (*PEOPLE, Role.ANONYMOUS):
        worlds, answers = [], []
        for document in authorisation.documents_of(SCHEMA, row):
            worlds.append(new_world())
            answers.append(await asked(Asker(worlds[-1], documents=documents), row, document, USER_IDS[role]))
        problems += authorisation.problems_of(row, role, answers, SECRETS)
        callers = {person for world in worlds for _, person in world.calls}
        if callers - {USER_IDS[role]} or (role is Role.ANONYMOUS and callers):
            problems.append(f"{row}: {role.name} called as {callers}")
    return problems


async def asked(ask: Asker, row: str, document: str, user_id: int | None) -> dict[str, Any]:
    """The answer; that of a subscription is what it yields up to its first pause."""
    cursor = ask.services.cursors.encode(scope(1), 0)
    variables = {name: {**THINGS, "cursor": cursor}[name] for name in authorisation.variables_of(ROWS[row].arguments)}
    if not row.startswith("Subscription."):
        answer: dict[str, Any] = await ask(document, user_id, **variables)
        return answer
    events = await heard(ask, Request(document, None, variables), user_id)
    return next((event for event in events if "errors" in event), {"data": {"events": events}})


async def heard(ask: Asker, request: Request, user_id: int | None) -> list[dict[str, Any]]:
    """What a subscription yields up to its first pause, while somebody types to Alice."""
    caller = Caller(viewer(user_id) if user_id else None, "192.0.2.1")
    set_viewer(caller.viewer)
    stream = ask.engine.subscribe(ask.engine.prepare(request, caller))
    events = []
    waiting = asyncio.ensure_future(anext(stream, b""))
    await asyncio.sleep(0.01)
    typing = LiveEvent.Typing(conversation_id="1-2", typist_id=2, is_typing=True)
    ask.services.hub._on_live(cast(Any, SimpleNamespace(data=LiveEvent(user_id=1, typing=typing).SerializeToString())))
    while await asyncio.wait({waiting}, timeout=0.05) == ({waiting}, set()):
        if not (text := waiting.result()):
            return events
        events.append(orjson.loads(text))
        waiting = asyncio.ensure_future(anext(stream, b""))
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await stream.aclose()  # type: ignore[attr-defined]
    return events


def test_G3_every_root_field_has_a_row() -> None:
    assert authorisation.missing_rows(SCHEMA) == set()


@pytest.mark.parametrize("row", ROWS)
async def test_G3_only_those_who_may_get_an_answer_and_nobody_sees_more(row: str) -> None:
    assert await problems_of(row) == []


async def test_G3_nobody_but_the_author_learns_who_saw_a_story() -> None:
    for role in PEOPLE:
        answer = await Asker(alices_world())(
            f'{{ node(id: "{THINGS["story"]}") {{ ... on Story {{ viewers {{ totalCount }} }} }} }}',
            user_id=USER_IDS[role],
        )
        shown = (answer["data"]["node"] or {}).get("viewers")
        assert (shown is not None) == (role is Role.OWNER)


class BlocksForgotten(World):
    """Whoever knows somebody's id sees them."""

    def visible(self, user_id: int) -> bool:
        return user_id in self.users


class TalksForAll(World):
    """Whoever knows the id of a message or a conversation sees it."""

    def call(self, method: str, request: Any) -> Any:
        if method in ("BatchGetMessages", "BatchGetConversations", "ListMessages"):
            set_viewer(viewer(1))
        return super().call(method, request)


@pytest.mark.parametrize(
    ("world", "rows"),
    [
        (BlocksForgotten, ("Query.user", "Query.post", "Mutation.likePost")),
        (TalksForAll, ("Query.node", "Query.conversation")),
    ],
)
async def test_G3_a_service_that_forgets_a_rule_is_caught(world: type[World], rows: tuple[str, ...]) -> None:
    def careless() -> World:
        made = alices_world()
        made.__class__ = world
        return made

    for row in rows:
        assert await problems_of(row, careless)


async def test_G3_root_fields_left_open_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "_close", lambda _field: None)
    open_documents = Documents(schema.build(), introspection=True)
    assert await problems_of("Query.home", documents=open_documents)


def test_G3_a_new_field_without_a_row_is_caught() -> None:
    grown: GraphQLSchema = schema.build()
    assert grown.query_type
    grown.query_type.fields["secrets"] = GraphQLField(GraphQLInt)
    assert authorisation.missing_rows(grown) == {"Query.secrets"}
