"""What an original becomes: the picture, its variants, and the place that is named by their bytes."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import IntEnum

PHOTOS = "heliograph-photos"
"""Bucket of public photos."""
PRIVATE = "heliograph-private"
"""Bucket of photos that are read through presigned addresses only."""


class ImageFormat(IntEnum):
    """Encodings that are served."""

    WEBP = 1
    JPEG = 2

    @property
    def content_type(self) -> str:
        """Return the type under which it is served."""
        return "image/webp" if self is ImageFormat.WEBP else "image/jpeg"

    @property
    def extension(self) -> str:
        """Return the ending of its objects' keys."""
        return "webp" if self is ImageFormat.WEBP else "jpg"


@dataclass(frozen=True, slots=True)
class Variant:
    """One size and format of a photo; its key is the photo's `key_prefix` + `name`."""

    name: str
    width: int
    height: int
    format: ImageFormat
    size_bytes: int
    is_square: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """What processing made of an original: the same values whoever uploaded it."""

    variants: tuple[Variant, ...]
    """Widest first, WebP before JPEG, the square last."""
    blurhash: str
    dominant_colour: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Developed:
    """A picture and the bytes of its variants, in the same order."""

    picture: Picture
    contents: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture and its place in the object store."""

    bucket: str
    key_prefix: str
    picture: Picture

    @property
    def keys(self) -> list[str]:
        """Return the keys of its objects."""
        return [self.key_prefix + variant.name for variant in self.picture.variants]


def key_prefix_of(picture: Picture, contents: Iterable[bytes]) -> str:
    """Return where a picture's objects stand: named by a hash of everything in them.

    The same bytes have the same place whoever uploads them, other bytes never do; so an object, once written, is never
    changed, and writing it again is harmless. The first two digits spread the keys.
    """
    digest = hashlib.sha256(json.dumps(asdict(picture), sort_keys=True).encode())
    for content in contents:
        digest.update(hashlib.sha256(content).digest())
    name = digest.hexdigest()
    return f"{name[:2]}/{name}/"
