"""Which web pages may call: those of the allow-list, and pages that came from the same host. Apps send no origin."""

from aiohttp import web
from yarl import URL

ALLOWED_HEADERS = "Authorization, Content-Type, Accept, Last-Event-ID, traceparent"
PREFLIGHT_SECONDS = 600


class Origins:
    """The allow-list."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        self._allowed = frozenset(allowed)

    def allows(self, request: web.Request) -> bool:
        """Whether the page that calls may; a call without an origin comes from no page."""
        origin = request.headers.get("Origin")
        return origin is None or origin in self._allowed or _host_of(origin) == request.host

    def preflight(self, request: web.Request, methods: str) -> web.Response:
        """Answer a browser's question whether it may call."""
        response = web.Response(status=204)
        self.mark(request, response)
        if "Access-Control-Allow-Origin" in response.headers:
            response.headers["Access-Control-Allow-Methods"] = methods
            response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
            response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
        return response

    def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        """Say to the browser that its page may read the answer."""
        origin = request.headers.get("Origin")
        if origin is not None and origin in self._allowed:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Vary"] = response.headers.get("Vary") or "Origin"


def _host_of(origin: str) -> str:
    try:
        return URL(origin).authority
    except ValueError:
        return ""
