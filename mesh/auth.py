"""Who is calling: people by signed tokens, services by their certificates.

A person's token is a JWT (EdDSA, Ed25519) with `sub` (the user id), `aud`, `iat`, `exp` and `kid` in its header.
The gateway verifies it and passes the very same token on; every service verifies it again, so a service that is
taken over can't speak for people who did not call. Keys come from a JWKS file only, never from the token. The file is
read again when it changes: keys are rotated without a restart, and one that is withdrawn takes its tokens along.
"""

import hashlib
import json
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mesh import telemetry
from mesh.config import TokenConfig
from mesh.errors import RefusedToServe, Unauthenticated

ALGORITHM = "EdDSA"
CACHED_TOKENS = 20_000
MAX_TOKEN_LENGTH = 4096
KEYS_LOOK_SECONDS = 5.0
"""How often it is looked whether the file of keys has changed."""

_log = telemetry.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Viewer:
    """The person on whose behalf a call is made."""

    user_id: int
    expires_at: int
    """Unix time in seconds."""
    token: str = field(repr=False)


_viewer: ContextVar[Viewer | None] = ContextVar("viewer", default=None)

caller: ContextVar[str] = ContextVar("caller", default="")
"""The service whose call is being handled, by the name in its certificate."""


def viewer() -> Viewer:
    """Return the person of the current call; `Unauthenticated` when the call bears no token."""
    if (found := _viewer.get()) is None:
        raise Unauthenticated
    return found


def viewer_id() -> int:
    """Return the user id of the current call; `Unauthenticated` when the call bears no token."""
    return viewer().user_id


def set_viewer(value: Viewer | None) -> None:
    """Set the person of the current task and what it starts."""
    _viewer.set(value)


def current_viewer() -> Viewer | None:
    """Return the person of the current call, if any."""
    return _viewer.get()


class TokenVerifier:
    """Verifies tokens with the keys of a file, or fixed ones; a verified token is remembered until it expires."""

    def __init__(self, keys: dict[str, jwt.PyJWK], audience: str, *, file: Path | None = None) -> None:
        self._keys = keys
        self._audience = audience
        self._known: dict[str, Viewer] = {}
        self._file = file
        self._changed_ns = _changed_ns(file)
        self._look_at = time.monotonic() + KEYS_LOOK_SECONDS
        self._times_read = 1

    @classmethod
    def from_config(cls, config: TokenConfig) -> "TokenVerifier":
        """Read the JWKS file; `RefusedToServe` unless it holds Ed25519 public keys, at least one, each with a `kid`."""
        try:
            return cls(_read_keys(config.keys), config.audience, file=config.keys)
        except (OSError, ValueError, KeyError, TypeError, jwt.PyJWTError) as error:
            raise RefusedToServe(f"{config.keys} (HELIOGRAPH_JWT_KEYS) can't be used: {error}") from error

    @property
    def keys_read(self) -> int:
        """Return how often keys have been read; when it has grown, what was verified before may be valid no more."""
        self._look()
        return self._times_read

    def _look(self) -> None:
        """Read the keys again when their file has changed; one that can't be used changes nothing, and is logged."""
        now = time.monotonic()
        if self._file is None or now < self._look_at:
            return
        self._look_at = now + KEYS_LOOK_SECONDS
        if (changed_ns := _changed_ns(self._file)) == self._changed_ns:
            return
        try:
            self._keys = _read_keys(self._file)
        except (OSError, ValueError, KeyError, TypeError, jwt.PyJWTError) as error:
            _log.error("jwt_keys_unusable", problem=str(error))
            return
        self._changed_ns = changed_ns
        self._known.clear()
        self._times_read += 1
        _log.info("jwt_keys_read", keys=len(self._keys))

    def verify(self, authorization: str | None) -> Viewer:
        """Return the person of an `Authorization: Bearer ...` value; `Unauthenticated` when it is not valid now."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN_LENGTH:
            raise Unauthenticated
        self._look()
        known = self._known.get(token)
        if known is None:
            known = self._decode(token)
            if len(self._known) >= CACHED_TOKENS:
                self._known.clear()
            self._known[token] = known
        if known.expires_at <= time.time():
            raise Unauthenticated("the token has expired")
        return known

    def _decode(self, token: str) -> Viewer:
        try:
            key = self._keys.get(jwt.get_unverified_header(token).get("kid", ""))
            if key is None:
                raise Unauthenticated("the token is signed with an unknown key")
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=self._audience,
                options={"require": ["exp", "iat", "sub", "aud"]},
            )
            user_id = int(claims["sub"])
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Unauthenticated from error
        if not 0 < user_id < 1 << 63:
            raise Unauthenticated
        return Viewer(user_id, int(claims["exp"]), token)


def _read_keys(file: Path) -> dict[str, jwt.PyJWK]:
    keys = dict(_public_key(one) for one in json.loads(file.read_text(encoding="utf-8"))["keys"])
    if not keys:
        raise ValueError("it holds no key: nobody could sign in")
    return keys


def _changed_ns(file: Path | None) -> int:
    """Return when a file was changed; 0 without one."""
    try:
        return file.stat().st_mtime_ns if file else 0
    except OSError:
        return 0


def _public_key(one: dict[str, str]) -> tuple[str, jwt.PyJWK]:
    if one.get("kty") != "OKP" or one.get("crv") != "Ed25519" or not one.get("kid"):
        raise ValueError("it holds a key that is not Ed25519 with a kid")
    if "d" in one:
        raise ValueError("it holds a private key; only public ones belong there")
    return one["kid"], jwt.PyJWK(one, algorithm=ALGORITHM)


def key_id_of(key: Ed25519PrivateKey) -> str:
    """Return the `kid` of a key: the start of its public half's SHA-256, so that every holder finds the same."""
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return hashlib.sha256(public).hexdigest()[:16]


def mint(*, private_key: Ed25519PrivateKey, key_id: str, user_id: int, audience: str, lifetime_seconds: int) -> str:
    """Sign a token; for development and tests, where no accounts system does it."""
    now = int(time.time())
    claims = {"sub": str(user_id), "aud": audience, "iat": now, "exp": now + lifetime_seconds}
    return jwt.encode(claims, private_key, algorithm=ALGORITHM, headers={"kid": key_id})
