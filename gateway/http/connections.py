"""Ends connections that only wait: half a request that never goes on, answers that nobody reads, idle keep-alives.

aiohttp waits without end for the rest of a request, and for a client to take its answer. Each costs an open file, of
which a process has some 20,000.
"""

import time
from collections.abc import Collection

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from aiohttp.web_protocol import RequestHandler
from prometheus_client import Counter

SWEEP_SECONDS = 5.0
FIRST_REQUEST_SECONDS = 10.0
"""For a new connection to send its first whole header."""
IDLE_SECONDS = 75.0
"""Between requests, and for an answer to be taken; longer than the proxies before us keep a connection."""

_ended = Counter("gateway_connections_ended", "Connections that were ended because they only waited")


class Connections:
    """What is known of the open connections of a server."""

    def __init__(self) -> None:
        self._busy: set[RequestHandler] = set()
        self._until: dict[RequestHandler, float] = {}

    @property
    def middleware(self) -> Middleware:
        """Note which connections have a request that is handled: those don't only wait."""

        @web.middleware
        async def noted(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._busy.add(request.protocol)
            try:
                return await handler(request)
            finally:
                self._busy.discard(request.protocol)
                self._until[request.protocol] = time.monotonic() + IDLE_SECONDS

        return noted

    def sweep(self, connections: Collection[RequestHandler]) -> None:
        """End those of these connections whose time is over."""
        now = time.monotonic()
        # Only open ones are kept in mind; a connection met for the first time has yet to ask for something.
        self._until = {one: self._until.get(one, now + FIRST_REQUEST_SECONDS) for one in connections}
        for connection, until in self._until.items():
            if now >= until and connection not in self._busy and connection.transport is not None:
                connection.transport.abort()
                _ended.inc()
