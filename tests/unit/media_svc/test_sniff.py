import pytest

from media_svc.imaging.sniff import AVIF, HEIC, JPEG, PNG, WEBP, looks_like, sniff, webp_size
from tests import pictures


@pytest.mark.parametrize(
    ("kind", "expected"), [("JPEG", JPEG), ("PNG", PNG), ("WEBP", WEBP), ("HEIF", HEIC), ("AVIF", AVIF)]
)
def test_formats_are_told_by_their_first_bytes(kind, expected):
    assert sniff(pictures.encoded(pictures.photo(64, 64), kind)) is expected


@pytest.mark.parametrize("options", [{}, {"lossless": True}])
def test_webp_states_its_size(options):
    assert webp_size(pictures.encoded(pictures.photo(321, 123), "WEBP", **options)) == (321, 123)
    assert webp_size(pictures.encoded(pictures.see_through(), "WEBP", **options)) == (320, 240)


def test_webp_without_a_header_states_nothing():
    assert webp_size(b"RIFF\0\0\0\0WEBP") is None
    assert webp_size(b"RIFF\0\0\0\0WEBPVP8 " + bytes(40)) is None


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"GIF89a", "gif"),
        (b"%PDF-1.7", "pdf"),
        (b"\xef\xbb\xbf<!DOCTYPE html>", "html"),
        (b"<?xml version='1.0'?><svg/>", "svg"),
        (b"plain words", "text"),
        (b"\0\0\0\x18ftypisom", "video"),
        (b"\x01\x02\x03", "unknown"),
        (b"", "unknown"),
    ],
)
def test_others_get_a_word(content, word):
    assert sniff(content) is None
    assert looks_like(content) == word
