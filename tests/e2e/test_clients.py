"""G1: the clients that apps use run the whole journey: upload, post, feed, story, message, a subscription resumed."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest
from gql import Client, GraphQLRequest
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport
from gql.transport.exceptions import TransportQueryError
from graphql import parse, print_ast, separate_operations

from devstack.demo.api import Person
from devstack.demo.cast import Cast
from devstack.demo.photos import choose
from tests.fixtures.node import CLIENTS
from tests.fixtures.stack import eventually

PHOTO = next(photo for photo in choose(None) if photo.name == "rocket")
JOURNEY = {
    name: print_ast(document)
    for name, document in separate_operations(parse((CLIENTS / "journey.graphql").read_text())).items()
}


def expected(seen: dict[str, Any]) -> dict[str, Any]:
    """What everybody must have seen, given the ids of what they made."""
    return {
        "post": seen["post"],
        "feed": [seen["post"]],
        "story": seen["story"],
        "tray": [seen["story"]],
        "first": "InboxCaughtUp",
        "live": "one",
        "resumed": ["two", "three"],
        "refused": "ID_INVALID",
    }


@pytest.mark.parametrize("client", ["graphql-ws", "apollo", "urql"])
async def test_G1_a_client_of_npm_runs_the_whole_journey(cast: Cast, node: str, client: str, tmp_path: Any) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(PHOTO.content)
    settings = {
        "url": cast.ada.api.url,
        "photo": str(photo),
        "author": {"token": cast.ada.token, "userId": cast.ada.user_id},
        "follower": {"token": cast.ben.token, "userId": cast.ben.user_id},
    }
    process = await asyncio.create_subprocess_exec(
        node, str(CLIENTS / "journey.mjs"), client, stdin=-1, stdout=-1, stderr=-1
    )
    output, problems = await asyncio.wait_for(process.communicate(json.dumps(settings).encode()), 60)
    assert process.returncode == 0, problems.decode()
    seen = json.loads(output)
    assert seen == expected(seen)


class Gql:
    """A person with the Python client `gql`."""

    def __init__(self, person: Person) -> None:
        self.person = person
        authorization = f"Bearer {person.token}"
        self._http = AIOHTTPTransport(person.api.url, headers={"Authorization": authorization})
        self._socket = AIOHTTPWebsocketsTransport(
            person.api.url.replace("http", "ws", 1), init_payload={"authorization": authorization}
        )

    async def ask(self, name: str, **variables: Any) -> Any:
        async with Client(transport=self._http) as session:
            return await session.execute(GraphQLRequest(JOURNEY[name], variable_values=variables))

    async def inbox(self, after: str | None) -> Any:
        async with Client(transport=self._socket) as session:
            request = GraphQLRequest(JOURNEY["Inbox"], variable_values={"after": after})
            async for event in session.subscribe(request):
                yield event["inbox"]

    async def upload(self, kind: str) -> str:
        made = await self.ask("Upload", kind=kind, bytes=len(PHOTO.content), key=str(uuid4()))
        upload_id: str = made["createUpload"]["upload"]["id"]
        form = made["createUpload"]["form"]
        status = await self.person.api.post_form(form, PHOTO.content, content_type=PHOTO.content_type)
        assert status in (200, 201, 204)
        await self.ask("Complete", upload=upload_id)

        async def is_ready() -> bool:
            return bool((await self.ask("Status", upload=upload_id))["upload"]["status"] == "READY")

        await eventually(is_ready, within=20, every=0.05)
        return upload_id


async def test_G1_the_gql_client_of_pypi_runs_the_whole_journey(cast: Cast) -> None:
    author, follower = Gql(cast.ada), Gql(cast.ben)
    made = await author.ask("Post", upload=await author.upload("POST"), key=str(uuid4()))
    seen: dict[str, Any] = {"post": made["createPost"]["post"]["id"]}
    made = await author.ask("Story", upload=await author.upload("STORY"), key=str(uuid4()))
    seen["story"] = made["publishStory"]["story"]["id"]

    async def both_are_there() -> bool:
        home = (await follower.ask("Home"))["home"]
        seen["feed"] = [edge["node"]["id"] for edge in home["feed"]["edges"]]
        seen["tray"] = [story["id"] for reel in home["storyTray"] for story in reel["stories"]]
        return bool(seen["feed"] and seen["tray"])

    await eventually(both_are_there, within=20, every=0.05)
    inbox = follower.inbox(None)
    seen["first"] = (await anext(inbox))["__typename"]
    await author.ask("Send", to=cast.ben.user_id, content="one", key=str(uuid4()))
    live = await anext(inbox)
    seen["live"] = live["message"]["content"]
    await inbox.aclose()
    for content in ("two", "three"):
        await author.ask("Send", to=cast.ben.user_id, content=content, key=str(uuid4()))
    seen["resumed"] = []
    inbox = follower.inbox(live["cursor"])
    while len(seen["resumed"]) < 2:
        # The last message may still be on its way when the log has been told to its end.
        event = await anext(inbox)
        if event["__typename"] == "MessageReceived":
            seen["resumed"].append(event["message"]["content"])
    await inbox.aclose()
    with pytest.raises(TransportQueryError) as refused:
        await author.ask("PostById", id=cast.ben.user_id)
    seen["refused"] = (refused.value.errors or [])[0]["extensions"]["code"]
    assert seen == expected(seen)
