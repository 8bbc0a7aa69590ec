"""Addresses of photos. Public photos have relative variants under a base address; private ones are presigned."""

from heliograph.media.v1.media_pb2 import ImageFormat, Photo, PhotoVariant

WIDTH = "Pixels that are needed: the narrowest variant at least this wide is chosen, the widest without it."
WEBP = ImageFormat.IMAGE_FORMAT_WEBP
DEFAULT_WIDTH = 1080
AVATAR_WIDTH = 150


def url(photo: Photo, *, width: int | None, square: bool = False) -> str | None:
    """Return the address of the WebP variant that suits a width best; `None` when the photo bears no addresses."""
    wanted = DEFAULT_WIDTH if width is None else width
    chosen: PhotoVariant | None = None
    # Widest first, so the last one that is wide enough is the narrowest of those.
    for variant in photo.variants:
        if variant.format != WEBP or variant.is_square != square or not variant.url:
            continue
        if chosen is None or variant.width >= wanted:
            chosen = variant
    return None if chosen is None else photo.base_url + chosen.url
