"""G3 with the real services: the rows of `tests/authorisation.py`, asked through every process."""

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import Any
from uuid import uuid4

import aiohttp

from devstack.demo import upload
from devstack.demo.api import PROTOCOL, Person
from devstack.demo.cast import Cast
from devstack.demo.chapters.messages import send
from devstack.demo.chapters.people import FOLLOW
from devstack.demo.chapters.stories import PUBLISH
from devstack.demo.photos import choose
from gateway.schema import build
from tests import authorisation
from tests.authorisation import MEMBERS, OWNER, PEOPLE, ROWS, UNBLOCKED, Role

CAT = next(photo for photo in choose(None) if photo.name == "chelsea")
SCHEMA = build()
BLOCK = "mutation ($who: ID!) { block(input: {userId: $who}) { blockedUserId } }"
CREATE = "mutation ($input: CreatePostInput!) { createPost(input: $input) { post { id } } }"
TYPING = "mutation ($talk: ID!) { setTyping(input: {conversationId: $talk}) { conversationId } }"
CURSOR = "subscription { inbox { ... on InboxItem { cursor } } }"
QUIET_SECONDS = 0.3

People = dict[Role, Person]


def people_of(cast: Cast) -> People:
    """Ada is the Alice of the matrix."""
    return {
        Role.OWNER: cast.ada,
        Role.OTHER: cast.ben,
        Role.BLOCKED: cast.cleo,
        Role.STRANGER: cast.dan,
        Role.ANONYMOUS: replace(cast.dan, token=""),
    }


async def furnish(people: People) -> tuple[dict[str, str], dict[str, frozenset[Role]]]:
    """Give the owner things; returns their ids, and what must be seen of them by some only."""
    owner, other = people[Role.OWNER], people[Role.OTHER]
    await owner.ask(BLOCK, who=people[Role.BLOCKED].user_id)
    await owner.ask(FOLLOW, who=other.user_id)
    async with owner.listen(CURSOR) as inbox:
        cursor = (await inbox.next())["inbox"]["cursor"]
    (of_post, _), (free, _), (of_story, _), (free_story, _) = await asyncio.gather(
        *(upload.send(owner, CAT, kind) for kind in ("POST", "POST", "STORY", "STORY"))
    )
    caption, words = f"caption {uuid4()}", f"words {uuid4()}"
    post = await owner.ask(CREATE, input={"uploadId": of_post, "caption": caption, "idempotencyKey": str(uuid4())})
    story = await owner.ask(PUBLISH, input={"uploadId": of_story, "idempotencyKey": str(uuid4())})
    message = await send(owner, other, words)
    request = await send(people[Role.STRANGER], owner, "may I?")
    things = {
        "alice": owner.user_id,
        "post": post["createPost"]["post"]["id"],
        "story": story["publishStory"]["story"]["id"],
        "talk": message["conversationId"],
        "message": message["id"],
        "request": request["conversationId"],
        "upload": free,
        "storyUpload": free_story,
        "pendingUpload": (await upload.permit(owner, CAT, "POST"))["upload"]["id"],
        "cursor": cursor,
    }
    secrets = {
        caption: UNBLOCKED,
        owner.username: UNBLOCKED,
        words: MEMBERS,
        things["talk"]: MEMBERS,
        things["story"]: MEMBERS,
        free: OWNER,
    }
    return things, secrets


async def answers_of(person: Person, row: str, things: dict[str, str]) -> list[dict[str, Any]]:
    names = authorisation.variables_of(ROWS[row].arguments)
    variables = {name: str(uuid4()) if name == "key" else things[name] for name in names}
    documents = authorisation.documents_of(SCHEMA, row)
    if not row.startswith("Subscription."):
        return [await answer(person, document, variables) for document in documents]
    if person.token:
        return [await first_events(person, documents[0], variables)]
    return [await refused_socket(person)]


async def answer(person: Person, document: str, variables: dict[str, str]) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {person.token}"} if person.token else {}
    body = {"query": document, "variables": variables}
    async with person.api.session.post(person.api.url, json=body, headers=headers) as response:
        given: dict[str, Any] = await response.json()
        return given


async def first_events(person: Person, document: str, variables: dict[str, str]) -> dict[str, Any]:
    """What a subscription yields until it has caught up, or is quiet."""
    events: list[dict[str, Any]] = []
    async with person.listen(document, **variables) as subscription:
        while not any("InboxCaughtUp" in str(event) for event in events):
            try:
                events.append(await subscription.next(within=QUIET_SECONDS))
            except TimeoutError:
                break
    return {"data": {"events": events}}


async def refused_socket(person: Person) -> dict[str, Any]:
    address = person.api.url.replace("http", "ws", 1)
    async with person.api.session.ws_connect(address, protocols=(PROTOCOL,)) as socket:
        await socket.send_json({"type": "connection_init"})
        closed = await socket.receive(timeout=5)
        assert closed.type is aiohttp.WSMsgType.CLOSE
        return {"data": None, "errors": [{"message": closed.extra}]}


async def test_G3_with_the_real_services_only_those_who_may_get_an_answer_and_nobody_sees_more(cast: Cast) -> None:
    people = people_of(cast)
    things, secrets = await furnish(people)
    problems = []
    for row in ROWS:
        for role in (Role.ANONYMOUS, *PEOPLE):
            problems += authorisation.problems_of(row, role, await answers_of(people[role], row, things), secrets)
    assert not problems, "\n".join(problems)


async def test_G3_live_events_reach_nobody_but_whom_they_are_for(cast: Cast) -> None:
    people = people_of(cast)
    things, secrets = await furnish(people)
    (document,) = authorisation.documents_of(SCHEMA, "Subscription.live")
    async with AsyncExitStack() as stack:
        listening = {role: await stack.enter_async_context(people[role].listen(document)) for role in PEOPLE}
        heard: dict[str, Any] = {}
        while heard.get("live", {}).get("__typename") != "Typing":
            # A hint to somebody who has only just begun to listen may be lost: it is given again.
            await people[Role.OTHER].ask(TYPING, talk=things["talk"])
            with suppress(TimeoutError):
                heard = await listening[Role.OWNER].next(within=QUIET_SECONDS)
        for role in (Role.OTHER, Role.STRANGER, Role.BLOCKED):
            with suppress(TimeoutError):
                while True:
                    event = str(await listening[role].next(within=QUIET_SECONDS))
                    assert "Typing" not in event
                    assert not [
                        secret for secret, readers in secrets.items() if role not in readers and secret in event
                    ]


async def test_G3_a_system_that_takes_one_person_for_another_is_caught(cast: Cast) -> None:
    people = people_of(cast)
    things, secrets = await furnish(people)
    people[Role.STRANGER] = people[Role.OWNER]
    for row in ("Query.conversation", "Query.upload", "Query.stories"):
        answers = await answers_of(people[Role.STRANGER], row, things)
        assert authorisation.problems_of(row, Role.STRANGER, answers, secrets)
