"""How a result travels from the child to the worker: a header in JSON, then the bytes of the variants.

The child has handled a stranger's bytes, so the worker believes nothing: sizes and names are computed again from the
recipe, each content must begin like its format, words must look like ours, and the lengths must fit to the byte.
"""

import json
import re
import struct

from media_svc.domain import Developed, ImageFormat, Picture, Refusal, RejectedReason, Variant
from media_svc.imaging import recipe
from media_svc.imaging.sniff import sniff

MAX_BYTES = 48 * 1024**2
"""More than any picture's variants together."""

_LENGTH = struct.Struct("<I")
_MAX_HEADER_BYTES = 16 * 1024
_BLURHASH = re.compile(r"[0-9A-Za-z#$%*+,\-.:;=?@\[\]^_{|}~]{6,64}")
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_DETAIL = re.compile(r"[a-z0-9_]{1,64}")


class ParcelDamaged(Exception):
    """The child sent something else than a result."""


def pack(result: Developed | Refusal) -> list[bytes]:
    """Return the pieces to write."""
    if isinstance(result, Refusal):
        header = {"reason": int(result.reason), "detail": result.detail}
        contents: tuple[bytes, ...] = ()
    else:
        picture, contents = result.picture, result.contents
        header = {
            "width": picture.width,
            "height": picture.height,
            "blurhash": picture.blurhash,
            "dominant_colour": picture.dominant_colour,
            "lengths": [len(content) for content in contents],
        }
    encoded = json.dumps(header).encode()
    return [_LENGTH.pack(len(encoded)), encoded, *contents]


def unpack(parcel: bytes) -> Developed | Refusal:
    """Return the result; `ParcelDamaged` when it isn't one."""
    try:
        (length,) = _LENGTH.unpack_from(parcel)
        if length > _MAX_HEADER_BYTES:
            raise ParcelDamaged("the header is too long")
        header = json.loads(parcel[_LENGTH.size : _LENGTH.size + length])
        if "reason" in header:
            return Refusal(RejectedReason(header["reason"]), _matching(_DETAIL, header["detail"]))
        return _developed(header, parcel[_LENGTH.size + length :])
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise ParcelDamaged(type(error).__name__) from error


def _developed(header: dict[str, object], body: bytes) -> Developed:
    width, height, lengths = header["width"], header["height"], header["lengths"]
    if not (isinstance(width, int) and isinstance(height, int) and isinstance(lengths, list)):
        raise ParcelDamaged("no size")
    if recipe.refuse_size(width, height) is not None:
        raise ParcelDamaged("a size that is refused")
    planned = [(size, image_format) for size in recipe.sizes(width, height) for image_format in ImageFormat]
    if sum(lengths) != len(body) or min(lengths) < 1:
        raise ParcelDamaged("lengths that don't fit")
    variants, contents, position = [], [], 0
    for (size, image_format), length in zip(planned, lengths, strict=True):
        content = body[position : position + length]
        position += length
        found = sniff(content)
        if found is None or found.content_type != image_format.content_type:
            raise ParcelDamaged("a content of another format")
        name = size.name(image_format)
        variants.append(Variant(name, size.width, size.height, image_format, length, size.is_square))
        contents.append(content)
    picture = Picture(
        variants=tuple(variants),
        blurhash=_matching(_BLURHASH, header["blurhash"]),
        dominant_colour=_matching(_COLOUR, header["dominant_colour"]),
        width=width,
        height=height,
    )
    return Developed(picture, tuple(contents))


def _matching(pattern: re.Pattern[str], text: object) -> str:
    if not isinstance(text, str) or not pattern.fullmatch(text):
        raise ParcelDamaged("a word that is none of ours")
    return text
