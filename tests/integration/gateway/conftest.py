"""A gateway on real sockets, over a world in memory."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from gateway.app import Gateway
from gateway.config import Config
from gateway.live.hub import Hub
from mesh import auth
from mesh.config import ProcessConfig, TlsConfig, TokenConfig
from tests.unit.gateway.world import World, clients, furnished

KEY = Ed25519PrivateKey.generate()
KEY_ID = "test-key"


def token(user_id: int, *, lifetime_seconds: int = 3600) -> str:
    return auth.mint(
        private_key=KEY, key_id=KEY_ID, user_id=user_id, audience="heliograph", lifetime_seconds=lifetime_seconds
    )


@dataclass(slots=True)
class Running:
    """A gateway that listens."""

    gateway: Gateway
    world: World
    hub: Hub
    address: str
    http: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return f"http://{self.address}/graphql"

    async def post(self, query: str, *, user_id: int | None = 1, **variables: Any) -> Any:
        headers = {"Authorization": f"Bearer {token(user_id)}"} if user_id else {}
        async with self.http.post(self.url, json={"query": query, "variables": variables}, headers=headers) as answer:
            return await answer.json()

    async def socket(self, *, user_id: int | None = 1) -> aiohttp.ClientWebSocketResponse:
        """An acknowledged socket."""
        channel = await self.http.ws_connect(self.url, protocols=["graphql-transport-ws"], heartbeat=None)
        payload = {"authorization": f"Bearer {token(user_id)}"} if user_id else {}
        await channel.send_json({"type": "connection_init", "payload": payload})
        assert (await channel.receive_json(timeout=5))["type"] == "connection_ack"
        return channel


class Starter:
    """Starts gateways with settings of a test's own; all of them end with the test."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.keys = folder / "jwks.json"
        self._stack = stack

    async def __call__(self, world: World | None = None, **settings: Any) -> Running:
        keys = self.keys
        public = json.loads(OKPAlgorithm.to_jwk(KEY.public_key()))
        keys.write_text(json.dumps({"keys": [{**public, "kid": KEY_ID, "alg": "EdDSA"}]}))
        environment = settings.pop("environment", "development")
        config = Config(
            process=ProcessConfig(environment, "127.0.0.1:0", "127.0.0.1:0", 1, settings.pop("drain_seconds", 0.5)),
            tls=TlsConfig(keys, keys, keys),
            tokens=TokenConfig(keys, "heliograph"),
            nats_url="nats://unused",
            feed_address="",
            story_address="",
            dm_address="",
            media_address="",
            cursor_key="k" * 32,
            **{**DEFAULTS, **settings},
        )
        world = world or furnished()
        stubs = clients(world)
        hub = Hub(stubs)
        gateway = Gateway(config, stubs, hub)
        port = await self._stack.enter_async_context(gateway.serve("127.0.0.1:0"))
        http = await self._stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)))
        return Running(gateway, world, hub, f"127.0.0.1:{port}", http)


DEFAULTS = {
    "allowed_origins": ("https://app.example",),
    "request_seconds": 5.0,
    "cost_per_minute": None,
    "address_cost_per_minute": None,
    "trusted_proxies": 0,
    "trusted_documents": None,
    "only_trusted": "off",
    "compiled_plans": "on",
}


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Starter]:
    async with AsyncExitStack() as stack:
        yield Starter(tmp_path, stack)


@pytest.fixture
async def running(start: Starter) -> Running:
    return await start()
