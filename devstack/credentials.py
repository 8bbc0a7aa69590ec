"""Passwords of the development stack: derived from one secret, which is made once for each state folder."""

import base64
import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ADMIN = "devstack"
"""Name of the administrator at Postgres and NATS; at Redis it is the user `default`."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Everything secret, except for the keys of certificates and tokens."""

    secret: str

    @classmethod
    def load_or_make(cls, file: Path) -> Self:
        """Those of the file, or fresh ones, written to it with mode 0600."""
        if file.exists():
            return cls(**json.loads(file.read_text()))
        write_secret(file, json.dumps({"secret": secrets.token_urlsafe(32)}))
        return cls(**json.loads(file.read_text()))

    def password(self, user: str) -> str:
        """A user's password, the same at Postgres, Redis and NATS."""
        return self._derive(f"password {user}")[:24]

    @property
    def s3_access_key(self) -> str:
        """The access key that all services use."""
        return hashlib.sha256(self._derive("s3 access key").encode()).hexdigest()[:20].upper()

    @property
    def s3_secret_key(self) -> str:
        """The secret that belongs to it."""
        return self._derive("s3 secret key")[:40]

    @property
    def cursor_key(self) -> str:
        """The key with which services sign paging cursors."""
        return self._derive("cursor key")

    def _derive(self, purpose: str) -> str:
        digest = hmac.digest(self.secret.encode(), purpose.encode(), "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=").replace("-", "a").replace("_", "b")


def write_secret(file: Path, content: str | bytes, *, is_durable: bool = True) -> None:
    """Write a file that only its owner may read, in one step: readers see the old or the new one, never a part.

    If `is_durable`, it is on disk when this returns: data outlives a power cut, so the secrets that open it must too.
    """
    fresh = file.with_name(file.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as output:
        output.write(content.encode() if isinstance(content, str) else content)
        output.flush()
        if is_durable:
            os.fsync(output.fileno())
    fresh.replace(file)
    if is_durable:
        sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
