"""POST and GET /graphql, by the GraphQL-over-HTTP specification.

Refused before GraphQL sees it: other types than JSON (which keeps plain forms of foreign pages out), bodies past
64 KiB, pages of foreign origins, tokens that don't verify. Whatever is wrong with a body, the answer is 4xx.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson
from aiohttp import web
from graphql import OperationType

from gateway import errors
from gateway.engine import Caller, Engine, Prepared, Request, RequestRefused
from gateway.http.admission import Admission
from gateway.http.callers import CallerReader
from gateway.http.origins import Origins
from mesh import telemetry
from mesh.auth import set_viewer
from mesh.errors import InvalidArgument, Overloaded, ResourceExhausted, Unauthenticated

MAX_BODY_BYTES = 64 * 1024
BODY_SECONDS = 10.0
JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
METHODS = "GET, POST, OPTIONS"
REMEMBERED_TYPES = 64
"""Few clients differ in what they accept."""
READS = (OperationType.QUERY,)
READS_AND_WRITES = (OperationType.QUERY, OperationType.MUTATION)


class BodyInvalid(InvalidArgument):
    """The request is not a GraphQL request."""

    reason = "BAD_REQUEST"
    message = "the request is not a GraphQL request"


class Endpoint:
    """Answers /graphql over HTTP."""

    def __init__(self, engine: Engine, callers: CallerReader, origins: Origins, admission: Admission) -> None:
        self._engine = engine
        self._admission = admission
        self._callers = callers
        self._origins = origins

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        telemetry.adopt(request.headers.get("traceparent"))
        if not self._origins.allows(request):
            return _plain(403, "this origin is not allowed")
        if request.method == "OPTIONS":
            return self._origins.preflight(request, METHODS)
        answer = await self._answered(request)
        self._origins.mark(request, answer)
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["X-Request-Id"] = telemetry.request_id.get()
        return answer

    async def _answered(self, request: web.Request) -> web.Response:
        accepted = accepted_type(request.headers.get("Accept"))
        if accepted is None:
            return _plain(406, f"one of {GRAPHQL_JSON} and {JSON} must be acceptable")
        if request.method not in ("GET", "POST"):
            return _plain(405, "use GET or POST", Allow=METHODS)
        try:
            if request.method == "POST":
                await _receive(request)  # before a place is taken: who sends slowly holds none
            with self._admission.reads:
                caller = self._callers.read(request)
                asked = await _read_post(request) if request.method == "POST" else _read_get(request)
                prepared = self._prepared(request, asked, caller)
                if prepared.operation.operation is OperationType.QUERY:
                    return await self._executed(request, prepared, accepted)
            with self._admission.writes:
                return await self._executed(request, prepared, accepted)
        except RequestRefused as refused:
            if refused.by_method:
                return _json(405, accepted, refused.answer, Allow="POST")
            return _json(_status_of(refused, accepted), accepted, refused.answer)
        except Overloaded as error:
            retry = str(-(-int(error.metadata["retry_after_ms"]) // 1000))
            return _json(503, accepted, errors.refusal(error), Retry_After=retry)
        except Unauthenticated as error:
            return _json(401, accepted, errors.refusal(error), WWW_Authenticate="Bearer")
        except BodyInvalid as error:
            return _json(400, accepted, errors.refusal(error))
        except web.HTTPRequestTimeout:
            return _json(408, accepted, errors.request_error("the body took too long", "BODY_TOO_SLOW"))
        except web.HTTPRequestEntityTooLarge:
            return _json(413, accepted, errors.request_error("the body is too large", "BODY_TOO_LARGE"))
        except web.HTTPUnsupportedMediaType:
            return _json(415, accepted, errors.request_error(f"send {JSON}", "CONTENT_TYPE_INVALID"))

    def _prepared(self, request: web.Request, asked: Request, caller: Caller) -> Prepared:
        set_viewer(caller.viewer)
        allowed = READS if request.method == "GET" else READS_AND_WRITES
        return self._engine.prepare(asked, caller, allowed=allowed, admit=self._admission.admit)

    async def _executed(self, request: web.Request, prepared: Prepared, accepted: str) -> web.Response:
        body = await self._engine.answer(prepared)
        if request.method == "GET":
            return _revalidated(request, body, accepted)
        return web.Response(body=body, headers={"Content-Type": _typed(accepted), "Cache-Control": "no-store"})


@lru_cache(REMEMBERED_TYPES)
def accepted_type(accept: str | None) -> str | None:
    """Return the media type of the answer; `None` when the client takes none that we have."""
    if not accept:
        return JSON
    ranges = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    if GRAPHQL_JSON in ranges:
        return GRAPHQL_JSON
    return JSON if ranges & {JSON, "*/*", "application/*"} else None


async def _receive(request: web.Request) -> None:
    """Wait for the whole body, which most often is there already; it is read from memory afterwards."""
    if request.content.is_eof():
        return
    try:
        async with asyncio.timeout(BODY_SECONDS):
            await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None


async def _read_post(request: web.Request) -> Request:
    if request.content_type != JSON or (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
        raise web.HTTPUnsupportedMediaType
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise web.HTTPUnsupportedMediaType
    return request_of(_decoded(await request.read()))


def _read_get(request: web.Request) -> Request:
    given = request.query
    fields: dict[str, Any] = {name: given[name] for name in ("query", "operationName") if name in given}
    for name in ("variables", "extensions"):
        if given.get(name):
            fields[name] = _decoded(given[name])
    return request_of(fields)


def _decoded(body: bytes | str) -> Any:
    try:
        return orjson.loads(body)
    except (orjson.JSONDecodeError, UnicodeEncodeError) as error:
        raise BodyInvalid("the body is not JSON in UTF-8") from error


def request_of(body: Any) -> Request:
    """Read a request from decoded JSON; `BodyInvalid` when a part has another type than it should have."""
    if not isinstance(body, dict):
        raise BodyInvalid("the body must be a JSON object")
    query, name = body.get("query"), body.get("operationName")
    variables, extensions = body.get("variables"), body.get("extensions")
    if query is not None and not isinstance(query, str):
        raise BodyInvalid("query must be a string")
    if name is not None and not isinstance(name, str):
        raise BodyInvalid("operationName must be a string")
    if variables is not None and not isinstance(variables, dict):
        raise BodyInvalid("variables must be an object")
    if extensions is not None and not isinstance(extensions, dict):
        raise BodyInvalid("extensions must be an object")
    if query is None and not extensions:
        raise BodyInvalid("a query is needed")
    # An empty name is no name: some clients always send the field.
    return Request(query, name or None, variables or {}, extensions or {})


def _status_of(refused: RequestRefused, accepted: str) -> int:
    if refused.code == ResourceExhausted.reason:
        return 429
    # By the specification, plain JSON answers bear 200 for whatever was a well-formed request.
    return 200 if accepted == JSON else 400


def _json(status: int, accepted: str, answer: Mapping[str, Any], **headers: str) -> web.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(
        status=status,
        body=orjson.dumps(answer),
        headers={"Content-Type": _typed(accepted), "Cache-Control": "no-store", **named},
    )


def _revalidated(request: web.Request, body: bytes, accepted: str) -> web.Response:
    """Answer a GET: a cache may keep it for this person, and must ask each time whether it is still so."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {
        "Content-Type": _typed(accepted),
        "Cache-Control": "private, no-cache",
        "Vary": "Accept, Authorization, Origin",
        "ETag": tag,
    }
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, headers=headers)


def _typed(accepted: str) -> str:
    return f"{accepted}; charset=utf-8"


def _plain(status: int, text: str, **headers: str) -> web.Response:
    return web.Response(status=status, text=text, headers=headers)
