import pytest

from media_svc.domain import ImageFormat, RejectedReason
from media_svc.imaging.recipe import refuse_size, sizes


def names(width, height):
    return [(size.name(ImageFormat.WEBP), size.width, size.height) for size in sizes(width, height)]


def test_large_original_becomes_three_widths_and_a_square():
    assert names(4000, 3000) == [
        ("1080.webp", 1080, 810), ("640.webp", 640, 480), ("320.webp", 320, 240), ("square-150.webp", 150, 150),
    ]  # fmt: skip


def test_nothing_is_enlarged():
    assert names(500, 100) == [("500.webp", 500, 100), ("320.webp", 320, 64), ("square-100.webp", 100, 100)]
    assert names(16, 16) == [("16.webp", 16, 16), ("square-16.webp", 16, 16)]


def test_jpeg_bears_its_own_ending():
    assert sizes(4000, 3000)[0].name(ImageFormat.JPEG) == "1080.jpg"


@pytest.mark.parametrize(
    ("width", "height", "reason"),
    [
        (0, 10, RejectedReason.CORRUPT),
        (15, 100, RejectedReason.BAD_DIMENSIONS),
        (1, 60_000, RejectedReason.BAD_DIMENSIONS),
        (2000, 200, RejectedReason.BAD_DIMENSIONS),
        (8000, 5001, RejectedReason.TOO_MANY_PIXELS),
        (60_000, 60_000, RejectedReason.TOO_MANY_PIXELS),
    ],
)
def test_sizes_that_are_refused(width, height, reason):
    refusal = refuse_size(width, height)
    assert refusal is not None
    assert refusal.reason is reason


@pytest.mark.parametrize(("width", "height"), [(16, 16), (8000, 5000), (1080, 8640), (4032, 3024)])
def test_sizes_that_are_taken(width, height):
    assert refuse_size(width, height) is None
