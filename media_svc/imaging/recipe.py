"""What is made of an original: sizes, qualities, limits. Pure."""

from dataclasses import dataclass

from media_svc.domain import ImageFormat, Refusal, RejectedReason

VERSION = 2
"""Raise it when the same original would become other bytes: then nothing made by an older recipe is taken for it."""

WIDTHS = (1080, 640, 320)
SQUARE = 150
JPEG_QUALITY = 82
WEBP_QUALITY = 80
WEBP_METHOD = 4

MAX_PIXELS = 40_000_000
MIN_SIDE = 16
MAX_SIDE = 20_000
MAX_RATIO = 8
"""Longer side to shorter one: beyond it no feed can show the photo, and its tallest variant would cost too much."""


@dataclass(frozen=True, slots=True)
class Size:
    """One variant to make, in every format."""

    width: int
    height: int
    is_square: bool

    def name(self, image_format: ImageFormat) -> str:
        """Return the end of the object's key."""
        stem = f"square-{self.width}" if self.is_square else str(self.width)
        return f"{stem}.{image_format.extension}"


def sizes(width: int, height: int) -> list[Size]:
    """Return what to make of an upright original of this size: widest first, the square last, nothing enlarged."""
    wide = min(width, WIDTHS[0])
    widths = [wide, *(one for one in WIDTHS if one < wide)]
    square = min(SQUARE, width, height)
    return [Size(one, max(1, round(height * one / width)), is_square=False) for one in widths] + [
        Size(square, square, is_square=True)
    ]


def refuse_size(width: int, height: int) -> Refusal | None:
    """Return why an original of this size can't be taken; `None` when it can."""
    if width < 1 or height < 1:
        return Refusal(RejectedReason.CORRUPT, "no_size")
    long, short = max(width, height), min(width, height)
    if short < MIN_SIDE:
        return Refusal(RejectedReason.BAD_DIMENSIONS, "side_too_short")
    if long > short * MAX_RATIO:
        return Refusal(RejectedReason.BAD_DIMENSIONS, "sides_too_unequal")
    if width * height > MAX_PIXELS:
        return Refusal(RejectedReason.TOO_MANY_PIXELS, "too_many_pixels")
    if long > MAX_SIDE:
        return Refusal(RejectedReason.BAD_DIMENSIONS, "side_too_long")
    return None
