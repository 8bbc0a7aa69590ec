"""The page on which to try the API: there in development, whole, without any address outside; gone in production."""

import asyncio
import json
import re

import aiohttp
import pytest
from yarl import URL

from gateway.documents import Documents
from gateway.http.page import FILES
from gateway.schema import build
from tests.fixtures.node import CLIENTS
from tests.integration.gateway.conftest import Running, Starter

NAMED = re.compile(r"""(?:href|src)="([^"]+)"|from "([^"]+)"|url\(([^)]+)\)""")


async def fetch(running: Running, path: str) -> tuple[str, aiohttp.ClientResponse]:
    async with running.http.get(f"http://{running.address}{path}") as answer:
        return await answer.text(), answer


async def test_the_page_has_all_that_it_names_and_names_nothing_outside(running: Running) -> None:
    waiting, seen = ["/"], set()
    while waiting:
        path = waiting.pop()
        seen.add(path)
        text, answer = await fetch(running, path)
        assert answer.status == 200, path
        assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)|@import|\bimport\(", text), path
        for match in NAMED.finditer(text):
            named = URL(path).join(URL(next(group for group in match.groups() if group))).path
            waiting += [named] if named not in seen else []
    files = {"/" if file.name == "index.html" else f"/web/{file.name}" for file in FILES.iterdir()}
    assert seen == files


async def test_every_file_of_the_page_says_that_only_this_host_may_be_asked(running: Running) -> None:
    for path in ("/", "/web/main.mjs", "/web/style.css"):
        _, answer = await fetch(running, path)
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
        assert policy.pop("default-src") == policy.pop("frame-ancestors") == "'none'"
        assert set(policy.values()) <= {"'self'", "'none'"}
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    text, _ = await fetch(running, "/")
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=", text), "the policy would refuse it"


async def test_who_types_the_address_of_the_api_into_a_browser_gets_the_page(running: Running, start: Starter) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    async with running.http.get(running.url, headers=browser) as answer:
        assert (answer.url.path, answer.content_type) == ("/", "text/html")
    in_production = await start(environment="production")
    async with running.http.get(in_production.url, headers=browser) as answer:
        assert answer.status == 400


@pytest.mark.parametrize("path", ["/", "/web/main.mjs", "/web/style.css", "/web/", "/web/../app.py"])
async def test_in_production_there_is_no_page(start: Starter, path: str) -> None:
    _, answer = await fetch(await start(environment="production"), path)
    assert answer.status == 404


@pytest.mark.parametrize("path", ["/web/", "/web/..%2fapp.py", "/web/%2e%2e/app.py", "/web/page.py", "/app.py"])
async def test_no_other_file_can_be_had(running: Running, path: str) -> None:
    async with running.http.get(URL(f"http://{running.address}{path}", encoded=True)) as answer:
        assert answer.status == 404


async def test_each_document_that_the_page_drafts_may_be_run(node: str) -> None:
    process = await asyncio.create_subprocess_exec(node, str(CLIENTS / "drafts.mjs"), stdout=-1, stderr=-1)
    output, problems = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, problems.decode()
    schema = build()
    documents = Documents(schema, introspection=True)
    drafts = json.loads(output)
    roots = [root for root in (schema.query_type, schema.mutation_type, schema.subscription_type) if root]
    assert set(drafts) == {f"{root.name}.{name}" for root in roots for name in root.fields}
    for draft in drafts.values():
        document = documents.by_text(draft["document"])
        document.cost(document.operation(None), json.loads(draft["variables"] or "{}"))


SUGGESTED: dict[str, set[str]] = {
    "": {"query", "mutation", "subscription", "fragment"},
    "{ sto": {"storyTray", "stories"},
    "query A { viewer { user": {"username"},
    "{ feed { edges { node { au": {"author"},
    "{ feed(first: 3) { pageInfo { ha": {"hasNextPage", "hasPreviousPage"},
    "{ a: viewer { followerCount } b: feed { isS": {"isStale"},
    "{ feed(": {"first", "after"},
    "query ($id: ID!, $n: In": {"Int", "InboxResyncReason"},
    "mutation { likePost(input: { po": {"postId"},
    "mutation { createUpload(input: { kind: ST": {"STORY"},
    "mutation M { likePost(input: {postId: 1}) { post { viewer": {"viewerHasLiked"},
    "subscription { inbox { ... on MessageRec": {"MessageReceived"},
    "subscription { inbox { ... on MessageReceived { mes": {"message"},
    "subscription { inbox { ... on MessageReceived { message { id } } ": set(),
    "fragment F on Post { cap": {"caption"},
    '{ user(username: "{ po") { po': {"posts", "postCount"},
    "{ # { viewer {\n conv": {"conversation", "conversations"},
}


async def test_the_page_suggests_what_may_stand_at_the_cursor(node: str) -> None:
    process = await asyncio.create_subprocess_exec(
        node, str(CLIENTS / "suggestions.mjs"), stdin=-1, stdout=-1, stderr=-1
    )
    output, problems = await asyncio.wait_for(process.communicate(json.dumps([*SUGGESTED]).encode()), 30)
    assert process.returncode == 0, problems.decode()
    offered = [{name for name in names if not name.startswith("__")} for names in json.loads(output)]
    assert dict(zip(SUGGESTED, offered, strict=True)) == SUGGESTED


async def test_the_page_finds_the_operation_under_the_cursor(node: str) -> None:
    script = """
      import { operationAt, operationsIn } from "%s";
      const text = process.argv[1];
      const names = operationsIn(text).map(({ kind, name }) => [kind, name]);
      console.log(JSON.stringify([names, operationAt(text, text.indexOf("@here")).name]));
    """
    module = (FILES / "operations.mjs").as_uri()
    text = """# query No { a }
query A($a: In = {b: "}"}) { a(b: "query C { d }") { b } }
fragment F on User { id }
mutation B { c @here }
{ d }"""
    process = await asyncio.create_subprocess_exec(
        node, "--input-type=module", "-e", script.replace("%s", module), text, stdout=-1, stderr=-1
    )
    output, problems = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, problems.decode()
    assert json.loads(output) == [[["query", "A"], ["mutation", "B"], ["query", None]], "B"]
