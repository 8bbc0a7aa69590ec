"""The page on which to try the API in development: static files of `gateway/web`, and no address outside."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

FILES = Path(__file__).parents[1] / "web"
TYPES = {".html": "text/html", ".css": "text/css", ".mjs": "text/javascript", ".svg": "image/svg+xml"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def add_routes(app: web.Application) -> None:
    """Serve the page at `/` and its files below `/web/`; they are read once, and no others can be asked for."""
    for file in sorted(FILES.iterdir()):
        if file.suffix in TYPES:
            path = "/" if file.name == "index.html" else f"/web/{file.name}"
            app.router.add_get(path, _serving(file.read_bytes(), TYPES[file.suffix]))


def is_meant(request: web.Request) -> bool:
    """Whether a person has typed the address of the API into a browser: there is the page for them."""
    is_bare = request.method == "GET" and not request.query_string
    return is_bare and "text/html" in request.headers.get("Accept", "")


def _serving(body: bytes, content_type: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def serve(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type=content_type, charset="utf-8", headers=HEADERS)

    return serve
