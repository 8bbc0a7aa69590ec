"""How one operation is carried out, whatever it came by: HTTP or WebSocket.

Find the document, choose the operation, weigh it, take its cost from the caller's bucket, execute it within the
deadline, and return finished JSON.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from inspect import isawaitable
from typing import Any

import orjson
from graphql import ExecutionResult, OperationDefinitionNode, OperationType, execute
from graphql.execution import Executor, create_source_event_stream, execute_subscription_event
from graphql.execution.values import VariableValues
from prometheus_client import Counter, Histogram

from gateway import errors
from gateway.context import Context, Services
from gateway.documents import Document, DocumentRejected, Documents
from gateway.execution.push import Push, Write
from gateway.rate import RateLimiter
from mesh import telemetry
from mesh.auth import Viewer
from mesh.errors import DeadlineExceeded, HeliographError, Internal, InvalidArgument, Overloaded
from mesh.grpc.calls import deadline

_log = telemetry.get_logger(__name__)
_operations = Counter("gateway_operations", "Finished operations", ["kind", "code"])
_seconds = Histogram(
    "gateway_operation_seconds",
    "Time of an operation, from its document to its finished answer",
    ["kind"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_count, _time = cache(_operations.labels), cache(_seconds.labels)
"""Remembered: to look a label up takes the client library longer than to count."""


Admit = Callable[[OperationType], None]
"""Raises `Overloaded` when no operation of a kind is taken now."""


class MutationByGet(InvalidArgument):
    """A GET may only read."""

    reason = "MUTATION_BY_GET"
    message = "mutations are sent by POST"


class SubscriptionByHttp(InvalidArgument):
    """Subscriptions need a WebSocket."""

    reason = "SUBSCRIPTION_BY_HTTP"
    message = "subscriptions are sent over WebSocket, by the protocol graphql-transport-ws"


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for."""

    query: str | None
    operation_name: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    extensions: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and from where."""

    viewer: Viewer | None
    address: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """An operation that was admitted: its document is valid, its cost is paid."""

    document: Document
    operation: OperationDefinitionNode
    variables: VariableValues
    request: Request
    caller: Caller


class RequestRefused(Exception):
    """A request that was not executed: the answer says why. `by_method`: another HTTP method would do."""

    def __init__(self, answer: dict[str, Any], *, code: str, by_method: bool = False) -> None:
        super().__init__(code)
        self.answer = answer
        self.code = code
        self.by_method = by_method


class Engine:
    """Carries out operations."""

    def __init__(
        self,
        *,
        documents: Documents,
        services: Services,
        people: RateLimiter,
        addresses: RateLimiter,
        request_seconds: float,
    ) -> None:
        self._documents = documents
        self._services = services
        self._people = people
        self._addresses = addresses
        self._request_seconds = request_seconds

    def prepare(
        self,
        request: Request,
        caller: Caller,
        *,
        allowed: Collection[OperationType] = tuple(OperationType),
        admit: Admit | None = None,
    ) -> Prepared:
        """Admit a request; `RequestRefused` says why not.

        `allowed`: the kinds that may come this way. `admit` is asked before anything is paid for or done.
        """
        try:
            document = self._document(request)
            operation = document.operation(request.operation_name)
            if operation.operation not in allowed:
                is_mutation = operation.operation is OperationType.MUTATION
                raise MutationByGet if is_mutation else SubscriptionByHttp
            if admit is not None:
                admit(operation.operation)
            self.spend(caller, document.cost(operation, request.variables))
        except Overloaded:
            raise
        except DocumentRejected as rejected:
            raise RequestRefused(rejected.answer, code=str(rejected)) from None
        except HeliographError as error:
            by_method = isinstance(error, MutationByGet)
            raise RequestRefused(errors.refusal(error), code=error.reason, by_method=by_method) from None
        coerced = document.variables(operation, request.variables)
        if isinstance(coerced, list):
            answer = {"errors": [errors.formatted(error) for error in coerced]}
            raise RequestRefused(answer, code=errors.BAD_USER_INPUT)
        return Prepared(document, operation, coerced, request, caller)

    def spend(self, caller: Caller, cost: int) -> None:
        """Take a cost from the buckets of a caller; `RateLimited` when they are empty."""
        self._addresses.spend(caller.address, cost)
        if caller.viewer is not None:
            self._people.spend(caller.viewer.user_id, cost)

    async def answer(self, prepared: Prepared) -> bytes:
        """Carry out a query or mutation and return its finished answer."""
        context = Context(self._services, prepared.caller.viewer)
        return await self._timed(prepared, self._execute(prepared, context))

    async def subscribe(self, prepared: Prepared, write: Write | None = None) -> AsyncIterator[bytes]:
        """Carry out a subscription: yield its finished answers, as long as there are any. An answer that `write` has
        taken is not yielded.

        Errors of its source (`SlowReader`, a token that has expired) are raised.
        """
        context = Context(self._services, prepared.caller.viewer)
        plans = prepared.document.plans
        plan = plans.at_once(prepared.operation, prepared.variables) if plans and write else None
        if plan is not None and write is not None:
            context.push = Push(plan, context, write, self._services.hub.answers)
        executor = Executor.build(
            prepared.document.schema,
            prepared.document.tree,
            context_value=context,
            raw_variable_values=dict(prepared.request.variables),
            operation_name=prepared.request.operation_name,
        )
        if isinstance(executor, list):
            yield _finished(ExecutionResult(None, executor))
            return
        stream = create_source_event_stream(executor)
        source = await stream if isawaitable(stream) else stream
        if isinstance(source, ExecutionResult):
            yield _finished(source)
            return
        try:
            async for event in source:
                yield await self._timed(prepared, self._execute_event(prepared, executor, event))
        finally:
            if (close := getattr(source, "aclose", None)) is not None:
                await close()

    async def _execute_event(self, prepared: Prepared, executor: Executor[Any], event: Any) -> bytes:
        # Loaders and shared answers are of one event: the next one must see what has changed since.
        context = Context(self._services, prepared.caller.viewer)
        if (answer := await _planned(prepared, context, event)) is not None:
            return answer
        of_event = executor.build_per_event_executor(event)
        of_event.context_value = context
        return await _completed(execute_subscription_event(of_event))

    def _document(self, request: Request) -> Document:
        persisted = request.extensions.get("persistedQuery")
        sha256 = persisted.get("sha256Hash") if isinstance(persisted, dict) else None
        if isinstance(sha256, str):
            return self._documents.by_hash(sha256, request.query)
        if request.query is None:
            raise InvalidArgument("a query is needed")
        return self._documents.by_text(request.query)

    async def _execute(self, prepared: Prepared, context: Context) -> bytes:
        return await _planned(prepared, context) or await self._execute_by_core(prepared, context)

    async def _execute_by_core(self, prepared: Prepared, context: Context) -> bytes:
        result = execute(
            prepared.document.schema,
            prepared.document.tree,
            context_value=context,
            variable_values=dict(prepared.request.variables),
            operation_name=prepared.request.operation_name,
        )
        return await _completed(result)

    async def _timed(self, prepared: Prepared, work: Any) -> bytes:
        kind = prepared.operation.operation.value
        started = time.monotonic()
        deadline.set(started + self._request_seconds)
        code = "INTERNAL"
        try:
            async with asyncio.timeout(self._request_seconds):
                answer: bytes = await work
            code = "OK"
        except TimeoutError:
            code = DeadlineExceeded.reason
            return orjson.dumps({"data": None, **errors.refusal(DeadlineExceeded())})
        except Exception:
            _log.exception("operation_failed", kind=kind)
            return orjson.dumps(errors.refusal(Internal(request_id=telemetry.request_id.get())))
        else:
            return answer
        finally:
            _count(kind, code).inc()
            _time(kind).observe(time.monotonic() - started)


async def _planned(prepared: Prepared, context: Context, event: Any = None) -> bytes | None:
    """Return the answer by the document's plan; `None` when graphql-core must answer."""
    if (plans := prepared.document.plans) is None:
        return None
    return await plans.answer(prepared.operation, prepared.variables, context, event)


async def _completed(result: Awaitable[ExecutionResult] | ExecutionResult) -> bytes:
    return _finished(await result if isawaitable(result) else result)


def _finished(result: ExecutionResult) -> bytes:
    answer: dict[str, Any] = {"data": result.data}
    if result.errors:
        answer = {"errors": [errors.formatted(error) for error in errors.in_order(result.errors)], "data": result.data}
    return orjson.dumps(answer)
