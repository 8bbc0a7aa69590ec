"""What belongs to one request: who asks, its loaders, and answers that several fields share."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import strawberry

from gateway.clients import Clients
from gateway.live.hub import Hub
from gateway.loaders import Loaders
from mesh.auth import Viewer
from mesh.cursor import CursorSigner
from mesh.errors import Unauthenticated

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Services:
    """What every request of this process shares."""

    clients: Clients
    hub: Hub
    cursors: CursorSigner


class Fetched:
    """What was fetched, or why it could not be: nothing is fetched twice."""

    __slots__ = ("_outcomes",)

    def __init__(self) -> None:
        self._outcomes: dict[Hashable, tuple[Any, Exception | None]] = {}

    def __contains__(self, key: Hashable) -> bool:
        return key in self._outcomes

    async def keep(self, key: Hashable, arriving: Awaitable[T]) -> T:
        """Return what arrives, and remember it, a failure too."""
        try:
            value = await arriving
        except Exception as error:
            self._outcomes[key] = (None, error)
            raise
        self._outcomes[key] = (value, None)
        return value

    async def again(self, key: Hashable) -> Any:
        """Return what had arrived, or raise its failure."""
        value, error = self._outcomes[key]
        if error is not None:
            raise error
        return value


@dataclass(slots=True)
class Context:
    """One operation: an HTTP request, or one operation of a socket."""

    services: Services
    viewer: Viewer | None
    fetched: Fetched = field(default_factory=Fetched)
    """What root fields have come to, by their keys in the answer."""
    push: Callable[[Hashable, Callable[[], Any]], bool] | None = None
    """The short way for events of a subscription (`execution.push`); `None` where there is none."""
    _shared: Fetched = field(default_factory=Fetched)
    _calling: dict[Hashable, asyncio.Lock] = field(default_factory=dict)
    _loaders: Loaders | None = None

    @property
    def clients(self) -> Clients:
        """Return the stubs of the services."""
        return self.services.clients

    @property
    def viewer_id(self) -> int:
        """Return the user id of who asks; `Unauthenticated` when nobody says so."""
        if self.viewer is None:
            raise Unauthenticated
        return self.viewer.user_id

    @property
    def loaders(self) -> Loaders:
        """Return the loaders of this operation; made when first used, since the hot document needs none."""
        if self._loaders is None:
            self._loaders = Loaders(self.services.clients, self.viewer_id)
        return self._loaders

    async def once(self, key: Hashable, call: Callable[[], Awaitable[T]]) -> T:
        """Return what `call` gives, calling it once per operation; a failure is shared too."""
        # Who comes second waits; should the first have been cancelled, the second calls.
        async with self._calling.setdefault(key, asyncio.Lock()):
            if key in self._shared:
                return cast(T, await self._shared.again(key))
            return await self._shared.keep(key, call())


Info = strawberry.Info[Context, None]
