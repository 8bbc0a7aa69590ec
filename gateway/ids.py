"""Opaque ids: what is `post 123` inside is `UG9zdDoxMjM` in GraphQL (base64url of `Post:123`, without padding)."""

import base64
import binascii
import re
from functools import lru_cache

import strawberry

from gateway.errors import IdInvalid

REMEMBERED_IDS = 50_000
"""Those that are shown often are written once: to write one takes ten times as long as to find it."""
_MAX_ID_LENGTH = 120
_MAX_INT64 = 2**63 - 1
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_PAIR = re.compile(r"[1-9][0-9]{0,18}-[1-9][0-9]{0,18}")


@lru_cache(REMEMBERED_IDS)
def encode(kind: str, key: int | str) -> strawberry.ID:
    """Return the opaque id of a thing."""
    return strawberry.ID(base64.urlsafe_b64encode(f"{kind}:{key}".encode()).rstrip(b"=").decode())


def decode(opaque: str) -> tuple[str, str]:
    """Return kind and key of an opaque id; `IdInvalid` when it is none."""
    try:
        if len(opaque) > _MAX_ID_LENGTH:
            raise IdInvalid
        raw = base64.b64decode(opaque + "=" * (-len(opaque) % 4), altchars=b"-_", validate=True)
        kind, separator, key = raw.decode("ascii").partition(":")
    except (binascii.Error, ValueError) as error:
        raise IdInvalid from error
    # One thing has one id: other spellings of the same bytes are refused.
    if not separator or encode(kind, key) != opaque:
        raise IdInvalid
    return kind, key


def number(kind: str, opaque: str) -> int:
    """Return the 64-bit key of an id of this kind; `IdInvalid` when it is another one."""
    key = _key(kind, opaque)
    if not key.isascii() or not key.isdigit() or key.startswith("0") or int(key) > _MAX_INT64:
        raise IdInvalid(expected=kind)
    return int(key)


def uuid(kind: str, opaque: str) -> str:
    """Return the UUID of an id of this kind; `IdInvalid` when it is another one."""
    key = _key(kind, opaque)
    if not _UUID.fullmatch(key):
        raise IdInvalid(expected=kind)
    return key


def pair(kind: str, opaque: str) -> str:
    """Return the key of a conversation, two user ids joined by a hyphen; `IdInvalid` when it is another id."""
    key = _key(kind, opaque)
    if not _PAIR.fullmatch(key):
        raise IdInvalid(expected=kind)
    return key


def _key(kind: str, opaque: str) -> str:
    found, key = decode(opaque)
    if found != kind:
        raise IdInvalid(expected=kind)
    return key
