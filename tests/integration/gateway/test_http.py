"""What HTTP has beside answers: caches, pages of other hosts, registered documents, limits, production's silence."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.documents import hash_of
from mesh.errors import Unavailable
from tests.integration.gateway.conftest import Running, Starter, token

VIEWER = "{ viewer { username } }"
ALICE = {"data": {"viewer": {"username": "alice"}}}
APP = "https://app.example"


def by_hash(text: str) -> str:
    return json.dumps({"persistedQuery": {"version": 1, "sha256Hash": hash_of(text)}})


async def get(running: Running, *, user_id: int = 1, headers: dict[str, str] | None = None, **fields: str) -> Any:
    """The answer to a GET, whole, and its JSON."""
    given = {"Authorization": f"Bearer {token(user_id)}", **(headers or {})}
    async with running.http.get(running.url, params=fields, headers=given) as answer:
        body = await answer.read()
        return answer, json.loads(body) if body else None


def code_of(answer: Any) -> str:
    return str(answer["errors"][0]["extensions"]["code"])


async def test_a_query_that_was_sent_once_with_its_hash_is_had_by_its_hash(running: Running) -> None:
    _, unknown = await get(running, extensions=by_hash(VIEWER))
    assert code_of(unknown) == "PERSISTED_QUERY_NOT_FOUND"
    assert unknown["errors"][0]["message"] == "PersistedQueryNotFound", "the word that Apollo's client looks for"
    _, taught = await get(running, query=VIEWER, extensions=by_hash(VIEWER))
    _, known = await get(running, extensions=by_hash(VIEWER))
    assert taught == known == ALICE


async def test_a_cache_may_keep_a_get_for_its_person_and_asks_whether_it_is_still_so(running: Running) -> None:
    first, _ = await get(running, query=VIEWER)
    assert first.headers["Cache-Control"] == "private, no-cache"
    assert {"Authorization", "Accept", "Origin"} <= {one.strip() for one in first.headers["Vary"].split(",")}
    tag = {"If-None-Match": first.headers["ETag"]}
    again, body = await get(running, query=VIEWER, headers=tag)
    assert (again.status, body) == (304, None)
    other, body = await get(running, query=VIEWER, headers=tag, user_id=2)
    assert (other.status, body) == (200, {"data": {"viewer": {"username": "bob"}}})
    running.world.users[1].username = "alicia"
    changed, body = await get(running, query=VIEWER, headers=tag)
    assert (changed.status, body) == (200, {"data": {"viewer": {"username": "alicia"}}})


async def test_nothing_else_may_be_kept(running: Running) -> None:
    headers = {"Authorization": f"Bearer {token(1)}"}
    for body in ({"query": VIEWER}, {"query": "{"}, {"query": "mutation { nothing }"}):
        async with running.http.post(running.url, json=body, headers=headers) as answer:
            assert answer.headers["Cache-Control"] == "no-store"
    refused, _ = await get(running, query="{")
    assert refused.headers["Cache-Control"] == "no-store"


async def test_pages_of_allowed_origins_may_ask_and_read(running: Running) -> None:
    asked = {"Origin": APP, "Access-Control-Request-Method": "POST"}
    async with running.http.options(running.url, headers=asked) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == APP
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]
        assert "Access-Control-Allow-Credentials" not in answer.headers
    read, _ = await get(running, query=VIEWER, headers={"Origin": APP})
    assert read.headers["Access-Control-Allow-Origin"] == APP
    own = f"http://{running.address}"
    same, _ = await get(running, query=VIEWER, headers={"Origin": own})
    assert same.status == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"{APP}.evil.example", "http://app.example"])
async def test_pages_of_other_origins_may_not_even_ask(running: Running, origin: str) -> None:
    answer: aiohttp.ClientResponse
    async with running.http.get(running.url, params={"query": VIEWER}, headers={"Origin": origin}) as answer:
        assert answer.status == 403
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert running.world.calls == []


async def test_where_only_registered_documents_are_executed_nothing_else_is(start: Starter, tmp_path: Path) -> None:
    registry = tmp_path / "registry.json"
    registry.write_text(json.dumps({hash_of(VIEWER): VIEWER}))
    running = await start(trusted_documents=registry, only_trusted="on", environment="production")
    other = "{ viewer { id } }"
    assert await running.post(VIEWER) == ALICE
    assert (await get(running, extensions=by_hash(VIEWER)))[1] == ALICE
    for refused in (
        await running.post(other),
        await running.post("{ __schema { types { name } } }"),
        await running.post("{ not even a document"),
        (await get(running, extensions=by_hash(other)))[1],
        (await get(running, query=other, extensions=by_hash(other)))[1],
        (await get(running, extensions=by_hash(other)))[1],
    ):
        assert code_of(refused) == "DOCUMENT_NOT_TRUSTED"
    channel = await running.socket()
    await channel.send_json({"id": "1", "type": "subscribe", "payload": {"query": other}})
    assert code_of({"errors": (await channel.receive_json(timeout=5))["payload"]}) == "DOCUMENT_NOT_TRUSTED"


async def test_a_registry_whose_hashes_are_wrong_is_refused_at_the_start(start: Starter, tmp_path: Path) -> None:
    registry = tmp_path / "registry.json"
    registry.write_text(json.dumps({hash_of("{ other }"): VIEWER}))
    with pytest.raises(ValueError, match="has another hash"):
        await start(trusted_documents=registry)


@pytest.mark.parametrize("query", ["{ __schema { types { name } } }", '{ __type(name: "User") { name } }'])
async def test_in_production_the_schema_is_not_told(start: Starter, query: str) -> None:
    assert "errors" not in await (await start()).post(query)
    told = await (await start(environment="production")).post(query)
    assert code_of(told) == "GRAPHQL_VALIDATION_FAILED"
    assert await (await start(environment="production")).post("{ __typename }") == {"data": {"__typename": "Query"}}


async def test_an_address_has_a_bucket_of_its_own_as_the_trusted_proxy_names_it(start: Starter) -> None:
    running = await start(address_cost_per_minute=1_000, trusted_proxies=1)

    async def asked_from(forwarded: str) -> set[str]:
        seen = set()
        for _ in range(4):
            headers = {"X-Forwarded-For": forwarded, "Authorization": f"Bearer {token(1)}"}
            body = {"query": "{ feed(first: 50) { edges { node { id caption createdAt likeCount } } } }"}
            async with running.http.post(running.url, json=body, headers=headers) as answer:
                seen |= {error["extensions"]["code"] for error in (await answer.json()).get("errors", [])}
        return seen

    assert await asked_from("198.51.100.7") == {"RATE_LIMITED"}
    assert await asked_from("203.0.113.9, 198.51.100.7") == {"RATE_LIMITED"}, "what the client wrote counts for nothing"
    (other,) = [await running.post(VIEWER)]
    assert other == ALICE


@pytest.mark.parametrize(
    ("away", "half", "other"),
    [("GetHomeFeed", "feed", "storyTray"), ("GetStoryTray", "storyTray", "feed")],
)
async def test_one_service_away_costs_its_own_half(running: Running, away: str, half: str, other: str) -> None:
    running.world.failing[away] = Unavailable()
    query = "{ feed { edges { node { id } } } storyTray { author { id } } viewer { username } }"
    answer = await running.post(query)
    assert answer["data"][half] is None
    assert answer["data"][other]
    assert answer["data"]["viewer"] == {"username": "alice"}
    assert [(error["path"], code_of({"errors": [error]})) for error in answer["errors"]] == [([half], "UNAVAILABLE")]
