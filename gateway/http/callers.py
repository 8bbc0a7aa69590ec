"""Who calls: the person of the token, and the network address."""

from aiohttp import web

from gateway.engine import Caller
from mesh.auth import TokenVerifier
from mesh.errors import Unauthenticated


class CallerReader:
    """Reads callers; `trusted_proxies` is how many proxies of ours stand before this process."""

    def __init__(self, verifier: TokenVerifier, *, trusted_proxies: int) -> None:
        self._verifier = verifier
        self._trusted_proxies = trusted_proxies

    def read(self, request: web.Request) -> Caller:
        """Return who calls; `Unauthenticated` when there is a token that doesn't verify."""
        authorization = request.headers.get("Authorization")
        return self.caller(authorization, self.address(request))

    def caller(self, authorization: str | None, address: str) -> Caller:
        """Return the caller of an `Authorization` value; without one nobody in particular."""
        return Caller(self._verifier.verify(authorization) if authorization is not None else None, address)

    def is_valid(self, caller: Caller) -> bool:
        """Whether the token of somebody who was let in still verifies; who has none needs none."""
        if caller.viewer is None:
            return True
        try:
            self._verifier.verify(f"Bearer {caller.viewer.token}")
        except Unauthenticated:
            return False
        return True

    @property
    def keys_read(self) -> int:
        """Return how often the keys that tokens are verified with have been read; it grows when they change."""
        return self._verifier.keys_read

    def address(self, request: web.Request) -> str:
        """Return the network address of the client."""
        if self._trusted_proxies:
            hops = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",") if hop.strip()]
            if len(hops) >= self._trusted_proxies:
                # Entries further left were written by the client and may say anything.
                return hops[-self._trusted_proxies]
        return request.remote or ""
