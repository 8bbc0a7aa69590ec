"""The steps of developing, in this process: what a viewer would see of the result."""

import io

import pytest
from PIL import Image, ImageStat

from media_svc.domain import Developed, Refusal, RejectedReason
from media_svc.imaging.develop import develop, prepare
from tests import pictures
from tests.pictures import ODD_FILES, OK, Sent

prepare()


def developed(content: bytes, declared: str = "image/jpeg") -> Developed:
    result = develop(content, declared=declared, max_bytes=len(content))
    assert isinstance(result, Developed), result
    return result


def opened(result: Developed) -> list[Image.Image]:
    return [Image.open(io.BytesIO(content)) for content in result.contents]


@pytest.mark.parametrize("sent", ODD_FILES, ids=lambda sent: sent.name)
def test_U2_odd_file_comes_out_clean(sent: Sent):
    assert sent.allowed == (OK,)
    result = developed(sent.make(), sent.declared)
    for variant, content, image in zip(result.picture.variants, result.contents, opened(result), strict=True):
        image.load()
        assert image.size == (variant.width, variant.height)
        assert image.mode == "RGB"
        assert image.n_frames == 1 if hasattr(image, "n_frames") else True
        assert not dict(image.getexif())
        assert not {"exif", "icc_profile", "xmp", "comment", "XML:com.adobe.xmp"} & set(image.info)
        assert b"Secret" not in content
        assert b"script" not in content
        assert len(content) == variant.size_bytes
    assert len(result.picture.blurhash) == 28
    assert result.picture.dominant_colour.startswith("#")


@pytest.mark.parametrize("options", [{"quality": 90}, {"lossless": True}])
def test_webp_keeps_its_orientation_and_its_colours(options: dict[str, object]):
    image = Image.new("RGB", (64, 32), (55, 55, 55))
    exif = image.getexif()
    exif[0x0112] = 6
    content = pictures.encoded(image, "WEBP", exif=exif, icc_profile=pictures.linear_profile(), **options)
    result = developed(content, "image/webp")
    assert (result.picture.width, result.picture.height) == (32, 64)
    red, green, blue = opened(result)[0].convert("RGB").getpixel((16, 30))
    assert all(abs(value - 128) <= 5 for value in (red, green, blue))


@pytest.mark.parametrize(
    ("orientation", "kind", "declared"),
    [
        *((orientation, "JPEG", "image/jpeg") for orientation in range(1, 9)),
        (6, "PNG", "image/png"),
        (6, "WEBP", "image/webp"),
        (6, "HEIF", "image/heic"),
        (6, "AVIF", "image/avif"),
    ],
)
def test_photo_stands_upright_whichever_way_the_camera_was_held(orientation: int, kind: str, declared: str):
    result = developed(pictures.turned(orientation, kind), declared)
    assert (result.picture.width, result.picture.height) == (400, 200)
    for image in opened(result)[:2]:
        assert image.size == (400, 200)
        red, green, blue = image.convert("RGB").resize((40, 20)).getpixel((3, 2))
        assert red > 200
        assert green < 80
        assert blue < 80


def test_colours_of_a_profile_become_srgb():
    """Linear light: the number 55 is as bright as sRGB's 128."""
    profile = pictures.linear_profile()
    content = pictures.encoded(Image.new("RGB", (64, 64), (55, 55, 55)), "PNG", icc_profile=profile)
    red, green, blue = opened(developed(content, "image/png"))[0].convert("RGB").getpixel((30, 30))
    assert all(abs(value - 128) <= 4 for value in (red, green, blue))


def test_broken_profile_is_ignored():
    content = pictures.encoded(pictures.photo(64, 64), "JPEG", icc_profile=b"rubbish" * 40)
    assert developed(content).picture.width == 64


def test_transparent_becomes_white():
    image = Image.new("RGBA", (200, 200), (0, 0, 0, 0))
    result = developed(pictures.encoded(image, "PNG"), "image/png")
    assert ImageStat.Stat(opened(result)[0].convert("L")).mean[0] > 250


def test_sixteen_bits_of_grey_keep_their_brightness():
    grey = pictures.photo().convert("L")
    sent = next(one for one in ODD_FILES if one.name == "grey_16_bit")
    mean = ImageStat.Stat(opened(developed(sent.make(), "image/png"))[0].convert("L")).mean[0]
    assert abs(mean - ImageStat.Stat(grey).mean[0]) < 3


def test_same_bytes_give_the_same_bytes():
    assert developed(pictures.jpeg()) == developed(pictures.jpeg())


def test_more_bytes_than_declared_are_refused():
    result = develop(pictures.jpeg(), declared="image/jpeg", max_bytes=10)
    assert result == Refusal(RejectedReason.TOO_LARGE, "more_than_declared")


def test_no_bytes_are_refused():
    assert develop(b"", declared="image/jpeg", max_bytes=10) == Refusal(RejectedReason.EMPTY, "no_bytes")
