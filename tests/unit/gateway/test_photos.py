import pytest

from gateway.media import photos
from heliograph.media.v1.media_pb2 import ImageFormat, Photo, PhotoVariant

BASE = "https://photos.example/ab/cd/"


def photo(*widths: int, base_url: str = BASE, prefix: str = "") -> Photo:
    found = Photo(base_url=base_url)
    for width in widths:
        for image_format, end in ((ImageFormat.IMAGE_FORMAT_WEBP, "webp"), (ImageFormat.IMAGE_FORMAT_JPEG, "jpg")):
            found.variants.append(PhotoVariant(url=f"{prefix}{width}.{end}", width=width, format=image_format))
    square = PhotoVariant(
        url=f"{prefix}square-150.webp", width=150, format=ImageFormat.IMAGE_FORMAT_WEBP, is_square=True
    )
    found.variants.append(square)
    return found


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [(None, 1080), (1080, 1080), (1081, 1080), (5000, 1080), (641, 1080), (640, 640), (321, 640), (1, 320), (-1, 320)],
)
def test_narrowest_variant_that_is_wide_enough_is_chosen(wanted: int | None, chosen: int):
    assert photos.url(photo(1080, 640, 320), width=wanted) == f"{BASE}{chosen}.webp"


def test_small_photo_has_its_own_width():
    assert photos.url(photo(500, 320), width=1080) == f"{BASE}500.webp"


def test_avatar_is_the_square():
    assert photos.url(photo(1080, 640, 320), width=photos.AVATAR_WIDTH, square=True) == f"{BASE}square-150.webp"


def test_private_photo_has_signed_addresses_of_its_own():
    signed = photo(1080, 640, base_url="", prefix="https://photos.example/x?signed=")
    assert photos.url(signed, width=640) == "https://photos.example/x?signed=640.webp"


def test_photo_without_addresses_has_none():
    assert photos.url(Photo(variants=[PhotoVariant(width=640)]), width=640) is None
