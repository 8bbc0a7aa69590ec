"""What every part of the store is built on, and how a photo lies in a row."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from media_svc.domain import ImageFormat, Photo, Picture, Variant
from mesh.postgres import Connection, Postgres


class Base:
    """A part of the service's database."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """Open the one transaction of a write."""
        return self._postgres.transaction()


@dataclass(frozen=True, slots=True)
class PhotoRow:
    """The columns of a photo."""

    bucket: str
    key_prefix: str
    variants: list[dict[str, Any]]
    blurhash: str
    dominant_colour: str
    width: int
    height: int


def photo_of(row: Any) -> Photo:
    """Return the photo whose columns a row has."""
    variants = tuple(Variant(**{**one, "format": ImageFormat(one["format"])}) for one in row.variants)
    picture = Picture(variants, row.blurhash, row.dominant_colour, row.width, row.height)
    return Photo(row.bucket, row.key_prefix, picture)
