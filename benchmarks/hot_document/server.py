"""`python -m benchmarks.hot_document.server ours|plain|stock FEED_PORT STORY_PORT KEYS`: a GraphQL server in Python.

`ours` is the gateway as `gateway.app` wires it: tokens, metrics, limits, deadlines, the channels' interceptors. `plain`
is the same with compiled plans off. `stock` is Strawberry's own view over the gateway's schema, resolvers and loaders.
It prints its port. Channels are in the clear, as the rivals' are. Garbage collection is set for all as in production.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc
import uvloop
from aiohttp import web
from strawberry.aiohttp.views import GraphQLView

from gateway import clients as services
from gateway.app import PATH, Gateway
from gateway.clients import Clients
from gateway.config import OFF, ON, Config
from gateway.context import Context, Services
from gateway.live.hub import Hub
from gateway.schema import strawberry_schema
from mesh.auth import TokenVerifier, set_viewer
from mesh.config import ProcessConfig, TlsConfig, TokenConfig
from mesh.cursor import CursorSigner
from mesh.grpc.client import CarryingChannel
from mesh.lifecycle import spare_what_stays

AUDIENCE = "heliograph"
SECRET = "k" * 32


def clients(feed_port: int, story_port: int) -> Clients:
    feed, story = (
        CarryingChannel(grpc.aio.insecure_channel(f"127.0.0.1:{port}"), repeatable=frozenset())
        for port in (feed_port, story_port)
    )
    return services.over(feed=feed, story=story, messages=story, media=story)


def gateway_of(stubs: Clients, hub: Hub, keys: Path, *, compiled: bool = True) -> Gateway:
    """Return a gateway with production's settings, but for the budgets: one person asks for all."""
    config = Config(
        process=ProcessConfig("production", "127.0.0.1:0", "127.0.0.1:0", 1, 1.0),
        tls=TlsConfig(keys, keys, keys),
        tokens=TokenConfig(keys, AUDIENCE),
        nats_url="",
        feed_address="",
        story_address="",
        dm_address="",
        media_address="",
        cursor_key=SECRET,
        allowed_origins=(),
        request_seconds=8.0,
        cost_per_minute=2_000_000_000,
        address_cost_per_minute=2_000_000_000,
        trusted_proxies=0,
        trusted_documents=None,
        only_trusted=OFF,
        compiled_plans=ON if compiled else OFF,
    )
    return Gateway(config, stubs, hub)


async def serve_gateway(stubs: Clients, keys: Path, *, compiled: bool) -> None:
    async with gateway_of(stubs, Hub(stubs), keys, compiled=compiled).serve("127.0.0.1:0") as port:
        spare_what_stays()
        print(port, flush=True)
        await asyncio.Event().wait()


class StockView(GraphQLView[Context, None]):
    """Strawberry's view, with the context that the gateway's resolvers need."""

    def __init__(self, stubs: Clients, verifier: TokenVerifier) -> None:
        super().__init__(schema=strawberry_schema(), graphql_ide=None)
        self._services = Services(stubs, Hub(stubs), CursorSigner(SECRET))
        self._verifier = verifier

    async def get_context(self, request: Any, response: Any) -> Context:
        viewer = self._verifier.verify(request.headers.get("Authorization"))
        set_viewer(viewer)
        return Context(self._services, viewer)


async def serve_stock(stubs: Clients, keys: Path) -> None:
    app = web.Application()
    app.router.add_route("*", PATH, StockView(stubs, TokenVerifier.from_config(TokenConfig(keys, AUDIENCE))))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    spare_what_stays()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


async def main(kind: str, feed_port: str, story_port: str, keys: str) -> None:
    stubs = clients(int(feed_port), int(story_port))
    if kind == "stock":
        await serve_stock(stubs, Path(keys))
    else:
        await serve_gateway(stubs, Path(keys), compiled=kind == "ours")


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
