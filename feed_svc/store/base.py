"""What every part of the store has."""

from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from typing import Any

from feed_svc.domain import Photo, Variant
from mesh.postgres import Connection, Postgres


class Base:
    """One database."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """Open the one transaction of a write."""
        return self._postgres.transaction()


def photo_of(stored: dict[str, Any]) -> Photo:
    """Return a photo as it was stored."""
    return Photo(**{**stored, "variants": tuple(Variant(**variant) for variant in stored["variants"])})


def stored_photo(photo: Photo) -> dict[str, Any]:
    """Return a photo as it is stored."""
    return asdict(photo)
