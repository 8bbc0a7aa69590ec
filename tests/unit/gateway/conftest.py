"""Fixtures of the gateway's unit tests: the engine over a world in memory, without sockets."""

import time
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
    """Asks an engine as people do."""

    def __init__(self, world: World, **options: Any) -> None:
        self.world = world
        self.services = Services(clients(world), Hub(clients(world)), CursorSigner("k" * 32))
        self.documents = options.pop("documents", None) or Documents(SCHEMA, introspection=True)
        self.engine = Engine(
            documents=self.documents,
            services=self.services,
            people=RateLimiter(10**9),
            addresses=RateLimiter(10**9),
            request_seconds=options.pop("request_seconds", 5.0),
            **options,
        )

    async def raw(self, query: str, user_id: int | None = 1, name: str | None = None, **variables: Any) -> bytes:
        caller = Caller(viewer(user_id) if user_id else None, "192.0.2.1")
        set_viewer(caller.viewer)
        try:
            prepared = self.engine.prepare(Request(query, name, variables), caller)
        except RequestRefused as refused:
            return orjson.dumps(refused.answer)
        return await self.engine.answer(prepared)

    async def __call__(self, query: str, user_id: int | None = 1, name: str | None = None, **variables: Any) -> Any:
        return orjson.loads(await self.raw(query, user_id, name, **variables))


@pytest.fixture
def world() -> World:
    return furnished()


@pytest.fixture
def ask(world: World) -> Asker:
    return Asker(world)
