"""Fixtures of the gateway's unit tests: the engine over a world in memory, without sockets."""

import time
from copy import deepcopy
from functools import cache
from typing import Any

import orjson
import pytest

from gateway.context import Services
from gateway.documents import Documents
from gateway.engine import Caller, Engine, Request, RequestRefused
from gateway.live.hub import Hub
from gateway.rate import RateLimiter
from gateway.schema import build
from mesh.auth import Viewer, set_viewer
from mesh.cursor import CursorSigner
from tests.unit.gateway.world import World, clients, furnished

SCHEMA = build()


def viewer(user_id: int) -> Viewer:
    return Viewer(user_id, int(time.time()) + 3600, f"token-{user_id}")


class Asker:
    """Asks an engine as people do, and lets graphql-core alone answer the same on a copy of the world.

    So every document of these tests shows that a plan answers with the same bytes.
    """

    def __init__(self, world: World, *, compiled: bool = True, **options: Any) -> None:
        self.world = world
        self._options = dict(options)
        self._compiled = compiled
        self.services = Services(clients(world), Hub(clients(world)), CursorSigner("k" * 32))
        self.documents = options.pop("documents", None) or Documents(SCHEMA, introspection=True, compiled=compiled)
        self.engine = Engine(
            documents=self.documents,
            services=self.services,
            people=RateLimiter(10**9),
            addresses=RateLimiter(10**9),
            request_seconds=options.get("request_seconds", 5.0),
        )

    async def raw(self, query: str, user_id: int | None = 1, name: str | None = None, **variables: Any) -> bytes:
        if not self._compiled or type(self.world) is not World:  # one that breaks rules may answer otherwise each time
            return await self.alone(query, user_id, name, **variables)
        options = {**self._options, "documents": without_plans(self.documents)}
        by_core = Asker(deepcopy(self.world), compiled=False, **options)
        answer = await self.alone(query, user_id, name, **variables)
        assert_same(answer, await by_core.alone(query, user_id, name, **variables))
        return answer

    async def alone(self, query: str, user_id: int | None = 1, name: str | None = None, **variables: Any) -> bytes:
        caller = Caller(viewer(user_id) if user_id else None, "192.0.2.1")
        set_viewer(caller.viewer)
        try:
            prepared = self.engine.prepare(Request(query, name, variables), caller)
        except RequestRefused as refused:
            return orjson.dumps(refused.answer)
        return await self.engine.answer(prepared)

    async def __call__(self, query: str, user_id: int | None = 1, name: str | None = None, **variables: Any) -> Any:
        return orjson.loads(await self.raw(query, user_id, name, **variables))


@cache
def without_plans(documents: Documents) -> Documents:
    """The same documents for graphql-core alone."""
    return Documents(documents._schema, introspection=True, compiled=False)


def assert_same(answer: bytes, by_core: bytes) -> None:
    """The same bytes. Where fields that must not be null fail beside each other, graphql-core tells of those that
    failed before it gave up, which depends on who was faster: then the same `data`, with nulls at the same places."""
    if answer != by_core:
        one, other = explained(orjson.loads(answer)), explained(orjson.loads(by_core))
        assert one == other, f"{answer.decode()}\n{by_core.decode()}"


def explained(answer: dict[str, Any]) -> Any:
    """The data of an answer, its errors, and where a null stands for errors of several fields below it."""
    lasting, propagated = [], set()
    for error in answer.get("errors", ()):
        place: list[str | int] = []
        value = answer.get("data")
        for step in error["path"]:
            if value is None:
                break
            value = value[step]
            place.append(step)
        if place == error["path"]:
            lasting.append(error)
        else:
            propagated.add(tuple(place))
    return answer.get("data"), lasting, propagated


@pytest.fixture
def world() -> World:
    return furnished()


@pytest.fixture
def ask(world: World) -> Asker:
    return Asker(world)
