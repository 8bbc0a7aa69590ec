"""Opaque, signed page cursors.

A cursor is bound to what it pages over (`scope`, for example `"home:42"`): one that was altered, or that belongs to
another person or another list, is refused instead of giving a wrong page. It does not expire.
"""

import base64
import binascii
import hmac
import json

from mesh.errors import InvalidArgument

_compact = json.JSONEncoder(separators=(",", ":")).encode
_TAG_BYTES = 12  # 96 bits: beyond guessing, and short in a URL


class CursorInvalid(InvalidArgument):
    """The cursor was altered, or it belongs to another list."""

    reason = "PAGE_TOKEN_INVALID"
    message = "the cursor is not one of this list; start again without it"


class CursorSigner:
    """Writes and reads cursors with one secret key, the same in every process of a service."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def encode(self, scope: str, *parts: int | str) -> str:
        """Return a URL-safe cursor that holds `parts`."""
        body = _compact(parts).encode()
        return base64.urlsafe_b64encode(self._tag(scope, body) + body).rstrip(b"=").decode()

    def decode(self, scope: str, cursor: str, kinds: tuple[type[int] | type[str], ...]) -> tuple[int | str, ...]:
        """Return the parts of a cursor of this scope; `CursorInvalid` when it is anything else."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise CursorInvalid from error
        tag, body = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(scope, body)):
            raise CursorInvalid
        parts = tuple(json.loads(body))
        if tuple(type(part) for part in parts) != kinds:
            raise CursorInvalid
        return parts

    def decode_ints(self, scope: str, cursor: str, count: int) -> tuple[int, ...]:
        """Return the `count` integers of a cursor of this scope; `CursorInvalid` when it is anything else."""
        return tuple(int(part) for part in self.decode(scope, cursor, (int,) * count))

    def _tag(self, scope: str, body: bytes) -> bytes:
        message = scope.encode() + b"\0" + body
        return hmac.digest(self._key, message, "sha256")[:_TAG_BYTES]
