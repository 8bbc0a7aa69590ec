"""Formats by their first bytes: names and declared types are only what somebody says."""

import struct
from dataclasses import dataclass

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis"}
AVIF_BRANDS = {b"avif", b"avis"}
BRANDS_READ = 64
"""Bytes of the file's first box that are looked at."""

_REFUSED = (
    (b"GIF8", "gif"),
    (b"BM", "bmp"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"%PDF", "pdf"),
    (b"PK\x03\x04", "zip"),
    (b"\x7fELF", "elf"),
    (b"MZ", "exe"),
    (b"\0\0\1\0", "ico"),
    (b"8BPS", "psd"),
    (b"\0\0\0\x0cjP  ", "jpeg2000"),
    (b"\xff\x4f\xff\x51", "jpeg2000"),
    (b"\xff\x0a", "jpegxl"),
    (b"\0\0\0\x0cJXL ", "jpegxl"),
)


@dataclass(frozen=True, slots=True)
class Format:
    """A format that is taken: our word for it, its content type, and Pillow's name for its decoder."""

    word: str
    content_type: str
    decoder: str


JPEG = Format("jpeg", "image/jpeg", "JPEG")
PNG = Format("png", "image/png", "PNG")
WEBP = Format("webp", "image/webp", "WEBP")
HEIC = Format("heic", "image/heic", "HEIF")
AVIF = Format("avif", "image/avif", "AVIF")


def sniff(content: bytes) -> Format | None:
    """Return the format of a picture that we take; `None` for everything else."""
    if content.startswith(b"\xff\xd8\xff"):
        return JPEG
    if content.startswith(PNG_SIGNATURE):
        return PNG
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return WEBP
    brands = _brands(content)
    if brands & AVIF_BRANDS:
        return AVIF
    return HEIC if brands & HEIC_BRANDS else None


def looks_like(content: bytes) -> str:
    """Return a word for what bytes that we don't take seem to be."""
    for start, word in _REFUSED:
        if content.startswith(start):
            return word
    text = content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in text:
        return "svg"
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<body", b"<script")) or b"<script" in text:
        return "html"
    if content[4:8] == b"ftyp":
        return "video"
    return "text" if text and all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in text) else "unknown"


def webp_size(content: bytes) -> tuple[int, int] | None:
    """Return the size that a WebP's header states; `None` when it has none.

    Pillow's decoder allocates its canvas while it opens the file, so the size must be known before.
    """
    chunk, body = content[12:16], content[20:30]
    if len(body) < 10:
        return None
    if chunk == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if chunk == b"VP8L" and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", body[6:10])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _brands(content: bytes) -> set[bytes]:
    if content[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(content[:4], "big"), BRANDS_READ, len(content))
    return {content[8:12], *(content[at : at + 4] for at in range(16, end - 3, 4))}
