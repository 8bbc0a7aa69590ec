"""No log of any process holds what is nobody's business: words, captions, tokens, passwords, signed addresses."""

import re
import secrets
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from devstack.demo import upload
from devstack.demo.api import PROTOCOL, Person
from devstack.demo.cast import Cast
from devstack.demo.chapters.messages import INBOX, send
from devstack.demo.chapters.posts import CREATE
from devstack.demo.chapters.stories import PUBLISH
from devstack.demo.photos import choose
from devstack.stack import Stack

CAT = next(photo for photo in choose(None) if photo.name == "chelsea")
NOBODY = "VXNlcjo5OTk5OTk5"
SHAPES = {
    "a token": re.compile(rb"eyJ[\w-]{10,}\.eyJ[\w-]{10,}"),
    "a signed address": re.compile(rb"X-Amz-(?:Signature|Credential)=", re.IGNORECASE),
    "an address with a password": re.compile(rb"\w+://[^\s/:@]*:[^\s/@]+@"),
}


def found_in(folder: Path, canaries: set[str]) -> list[str]:
    """What must not be there and is: canaries, and whatever has the shape of a secret."""
    found = []
    for log in folder.rglob("*.log*"):
        text = log.read_bytes()
        found += [f"{log.name}: {canary}" for canary in canaries if canary.encode() in text]
        found += [
            f"{log.name}: {name}: {shape.findall(text)[0]!r}" for name, shape in SHAPES.items() if shape.search(text)
        ]
    return found


def passwords_of(system: Stack) -> set[str]:
    """Every password that a process was given."""
    given = [pair for environment in system.state.environments.values() for pair in environment.items()]
    within = [match[1] for _, value in given if (match := re.search(r"://[^/:@]*:([^/@]+)@", value))]
    keys = [value for name, value in given if name.endswith(("_CURSOR_KEY", "_SECRET_KEY"))]
    assert within
    assert keys
    return {*within, *keys, system.state.s3_secret_key}


async def use_it(cast: Cast, canary: str) -> set[str]:
    """Do what people do, with a canary in everything that they write; returns the secrets that came up."""
    post_upload, _ = await upload.send(cast.ada, CAT, "POST")
    caption = {
        "uploadId": post_upload,
        "caption": f"caption {canary}",
        "altText": canary,
        "idempotencyKey": str(uuid4()),
    }
    await cast.ada.ask(CREATE, input=caption)
    story_upload, _ = await upload.send(cast.ada, CAT, "STORY")
    await cast.ada.ask(PUBLISH, input={"uploadId": story_upload, "idempotencyKey": str(uuid4())})
    tray = await cast.ben.ask("{ storyTray { stories { photoUrl } } }")
    signed = {story["photoUrl"].partition("?")[2] for reel in tray["storyTray"] for story in reel["stories"]}
    assert all(signed)
    async with cast.cleo.listen(INBOX, after=None) as inbox:
        await inbox.next()
        await send(cast.ben, cast.cleo, f"words {canary}")
        await inbox.next()
    return signed | {person.token for person in (cast.ada, cast.ben, cast.cleo)}


async def misuse_it(person: Person, canary: str) -> None:
    """Ask for what is refused, at each place that refuses; answers don't matter here."""
    forged = f"{person.token[:-12]}{canary[:12]}"
    bodies: list[Any] = [
        {"query": f'{{ user(username: "{canary}") {{ id }} }}'},
        {"query": f"{{ {canary} }}"},
        {"query": f'{{ user(username: "{canary}'},
        {"query": f'{{ post(id: "{canary}") {{ id }} }}'},
        {"query": f'{{ feed(after: "{canary}") {{ isStale }} }}'},
        {"query": "mutation ($i: SendMessageInput!) { sendMessage(input: $i) { message { id } } }"}
        | {"variables": {"i": {"recipientId": NOBODY, "content": canary, "clientMessageId": str(uuid4())}}},
        {"query": "mutation ($i: SendMessageInput!) { sendMessage(input: $i) { message { id } } }"}
        | {"variables": {"i": {"recipientId": NOBODY, "content": canary + "\0", "clientMessageId": canary}}},
        {
            "query": CREATE,
            "variables": {"input": {"uploadId": NOBODY, "caption": canary * 200, "idempotencyKey": canary}},
        },
        {"query": 1, "variables": canary},
        canary,
    ]
    session, url = person.api.session, person.api.url
    for body in bodies:
        for token in (person.token, forged):
            async with session.post(url, json=body, headers={"Authorization": f"Bearer {token}"}) as answer:
                assert answer.status < 500
    for message in (f'{{"type":"connection_init","payload":{{"authorization":"Bearer {forged}"}}}}', canary):
        async with session.ws_connect(url.replace("http", "ws", 1), protocols=(PROTOCOL,)) as socket:
            await socket.send_str(message)
            await socket.receive(timeout=5)


async def test_no_log_holds_words_tokens_passwords_or_signed_addresses(system: Stack, cast: Cast) -> None:
    canary = f"canary{secrets.token_hex(8)}"
    signed = await use_it(cast, canary)
    await misuse_it(cast.ada, canary)
    logs = {log.stem for log in system.folder.logs.glob("*.log") if log.stat().st_size}
    assert {"gateway.serve", "feed_svc.serve", "dm_svc.work", "media_svc.work", "postgres", "nats"} <= logs
    assert found_in(system.folder.logs, {canary, *signed, *passwords_of(system)}) == []


@pytest.mark.parametrize(
    "line",
    [
        "canary0 was said",
        "authorization=Bearer eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0abc.xyz",
        "GET http://127.0.0.1:1/private/x.webp?X-Amz-Signature=00ff",
        "connecting to postgresql://feed_svc:secret@127.0.0.1/feed_svc",
    ],
)
def test_a_secret_in_a_log_is_caught(tmp_path: Path, line: str) -> None:
    (tmp_path / "some.log").write_text(f"an innocent line\n{line}\n")
    assert len(found_in(tmp_path, {"canary0"})) == 1
