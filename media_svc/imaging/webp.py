"""Still WebPs, by libwebp itself: into one buffer, which becomes the image.

Pillow takes every WebP for a film and holds its canvas three times while it opens and decodes one, which is more than a
child may have for the largest pictures. The library is the one that Pillow has loaded; its simple interface has not
changed since its first release (https://developers.google.com/speed/webp/docs/api).
"""

import ctypes
import re
from functools import cache
from pathlib import Path

from PIL import Image, _webp

_LIBRARY = re.compile(r"/\S*/libwebp[-.]\S*$", re.MULTILINE)
_ABI_VERSION = 0x0200
_OK = 0
_BYTES_PER_PIXEL = 4
_METADATA = {b"ICCP": "icc_profile", b"EXIF": "exif"}


class _Features(ctypes.Structure):
    """WebPBitstreamFeatures."""

    _fields_ = (
        ("width", ctypes.c_int),
        ("height", ctypes.c_int),
        ("has_alpha", ctypes.c_int),
        ("has_animation", ctypes.c_int),
        ("format", ctypes.c_int),
        ("pad", ctypes.c_uint32 * 5),
    )


def is_still(original: bytes) -> bool:
    """Whether it is one picture, by its headers alone; no film, nor anything damaged that they tell of."""
    return _features(original) is not None


def decoded(original: bytes) -> Image.Image:
    """Return a still WebP with its profile and EXIF in `info`; `ValueError` when it is damaged."""
    features = _features(original)
    if features is None:
        raise ValueError("no still WebP")
    width, height = features.width, features.height
    pixels = bytearray(width * height * _BYTES_PER_PIXEL)
    target = (ctypes.c_char * len(pixels)).from_buffer(pixels)
    if not _library().WebPDecodeRGBAInto(original, len(original), target, len(pixels), width * _BYTES_PER_PIXEL):
        raise ValueError("the decoder stumbled")
    mode = "RGBA" if features.has_alpha else "RGBX"
    image = Image.frombuffer(mode, (width, height), pixels, "raw", mode, 0, 1)
    image.info = _metadata(original)
    return image


def _features(original: bytes) -> _Features | None:
    found = _Features()
    status = _library().WebPGetFeaturesInternal(original, len(original), ctypes.byref(found), _ABI_VERSION)
    return found if status == _OK and not found.has_animation else None


def _metadata(original: bytes) -> dict[str | tuple[int, int], bytes]:
    """Return what stands in the chunks beside the picture, under Pillow's names."""
    found: dict[str | tuple[int, int], bytes] = {}
    at = 12
    while at + 8 <= len(original):
        length = int.from_bytes(original[at + 4 : at + 8], "little")
        if name := _METADATA.get(original[at : at + 4]):
            found.setdefault(name, original[at + 8 : at + 8 + length])
        at += 8 + length + length % 2
    return found


@cache
def _library() -> ctypes.CDLL:
    mapped = _LIBRARY.search(Path("/proc/self/maps").read_text())
    if mapped is None:
        raise ImportError(f"{_webp.__name__} has not loaded libwebp")
    library = ctypes.CDLL(mapped.group())
    library.WebPDecodeRGBAInto.restype = ctypes.c_void_p
    library.WebPDecodeRGBAInto.argtypes = (
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    )  # fmt: skip
    library.WebPGetFeaturesInternal.argtypes = (
        ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(_Features), ctypes.c_int
    )  # fmt: skip
    return library
