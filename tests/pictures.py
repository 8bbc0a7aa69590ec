"""Photographs and traps, made on the spot: what strangers send, for tests of everything that takes pictures."""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy
import pillow_heif
from PIL import Image, ImageCms, PngImagePlugin

pillow_heif.register_heif_opener()

OK = "READY"
"""What a file that is fine ends as; else the name of a reason."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A file that somebody sends."""

    name: str
    declared: str
    make: Callable[[], bytes]
    allowed: tuple[str, ...]
    """READY, or names of reasons: the ways in which it may end."""


def photo(width: int = 640, height: int = 480, *, seed: int = 0) -> Image.Image:
    """A picture with shapes and grain; another one for each seed."""
    return Image.fromarray(_pixels(width, height, seed))


@lru_cache(maxsize=16)
def _pixels(width: int, height: int, seed: int) -> numpy.ndarray:
    rows, columns = numpy.mgrid[0:height, 0:width]
    noise = numpy.random.default_rng(seed).normal(0, 6, (height, width))
    bands = [
        128 + 100 * numpy.sin(columns / (23 + seed % 7) + rows / 41) + noise,
        128 + 90 * numpy.cos(rows / (31 + seed % 5)) + noise,
        64 + 120 * (columns / width) + noise,
    ]
    return numpy.clip(numpy.stack(bands, axis=-1), 0, 255).astype(numpy.uint8)


@cache
def slope(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """A picture that takes little time to make and few bytes to write, whatever its size."""
    rising = Image.linear_gradient("L").resize((width, height), Image.Resampling.NEAREST)
    return Image.merge("RGB", (rising, rising.transpose(Image.Transpose.FLIP_TOP_BOTTOM), rising)).convert(mode)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@cache
def jpeg(width: int = 640, height: int = 480, *, seed: int = 0) -> bytes:
    """A JPEG photo without metadata."""
    return encoded(photo(width, height, seed=seed), "JPEG", quality=88)


@cache
def modern(kind: str) -> bytes:
    """A HEIF or AVIF photo: they take long to make."""
    return encoded(photo(), kind)


def with_everything() -> bytes:
    """A JPEG with a place, a camera, a comment, XMP and a colour profile."""
    image = photo()
    exif = image.getexif()
    exif[0x010F] = "SecretCamera"
    exif[0x0132] = "2026:01:02 03:04:05"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    exif.get_ifd(0x8825)[1] = "N"
    return encoded(
        image,
        "JPEG",
        exif=exif,
        comment=b"SecretComment",
        xmp=b"<x:xmpmeta>SecretXmp</x:xmpmeta>",
        icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    )


def linear_profile() -> bytes:
    """A colour profile like sRGB, but with linear tone curves."""
    body = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for entry in range(struct.unpack(">I", body[128:132])[0]):
        name, offset, size = struct.unpack(">4sII", body[132 + 12 * entry : 144 + 12 * entry])
        if name in (b"rTRC", b"gTRC", b"bTRC"):
            linear = b"curv\0\0\0\0\0\0\0\0"
            body[offset : offset + len(linear)] = linear
            assert size >= len(linear)
    return bytes(body)


def turned(orientation: int, kind: str = "JPEG") -> bytes:
    """A photo whose red corner is top left once it is upright, stored as a camera of that orientation does."""
    upright = photo(400, 200)
    upright.paste((255, 0, 0), (0, 0, 100, 50))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = stored.getexif()
    exif[0x0112] = orientation
    return encoded(stored, kind, exif=exif.tobytes(), quality=95)


def chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *, depth: int, colour: int, data: bytes, before: bytes = b"") -> bytes:
    """A PNG from its parts."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@cache
def bomb_png(side: int = 13_000) -> bytes:
    """A PNG of some 20 KiB that unpacks to 169 million pixels."""
    return png(side, side, depth=1, colour=0, data=zlib.compress(bytes((side // 8 + 1) * side), 9))


@cache
def _packed_zeros() -> bytes:
    """200 MB of nothing."""
    return zlib.compress(bytes(200_000_000), 9)


@cache
def text_bomb_png() -> bytes:
    """A PNG whose text unpacks to 200 MB."""
    body = encoded(photo(64, 64), "PNG")
    return body[:33] + chunk(b"zTXt", b"Comment\0\0" + _packed_zeros()) + body[33:]


@cache
def profile_bomb_png() -> bytes:
    """A PNG whose colour profile unpacks to 200 MB."""
    body = encoded(photo(64, 64), "PNG")
    return body[:33] + chunk(b"iCCP", b"p\0\0" + _packed_zeros()) + body[33:]


def rgb16_png() -> bytes:
    """A PNG with sixteen bits for each of three colours."""
    pixels = numpy.asarray(photo(320, 240)).astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return png(320, 240, depth=16, colour=2, data=zlib.compress(rows))


def grey16_png() -> bytes:
    """A PNG with sixteen bits of grey."""
    return encoded(Image.fromarray(numpy.asarray(photo().convert("L")).astype(numpy.uint16) * 257), "PNG")


@cache
def endless_jpeg() -> bytes:
    """A progressive JPEG that repeats its last scan thousands of times."""
    body = encoded(Image.linear_gradient("L").resize((5000, 5000)).convert("RGB"), "JPEG", progressive=True, quality=30)
    last = body.rfind(b"\xff\xda")
    scan = body[last:-2]
    return body[:last] + scan * 5000 + body[-2:]


def huge_jpeg() -> bytes:
    """A small JPEG whose header says 65,500 x 65,500."""
    body = bytearray(jpeg(64, 64))
    at = body.find(b"\xff\xc0")
    body[at + 5 : at + 9] = struct.pack(">HH", 65_500, 65_500)
    return bytes(body)


def huge_webp() -> bytes:
    """A small WebP whose canvas is 16,383 x 16,383."""
    body = encoded(photo(64, 64), "WEBP")
    side = (16_383 - 1).to_bytes(3, "little")
    extended = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + side + side
    inner = b"WEBP" + extended + body[12:]
    return b"RIFF" + struct.pack("<I", len(inner)) + inner


def animated(kind: str) -> bytes:
    frames = [photo(320, 240, seed=seed) for seed in range(4)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=80)


def huge_film() -> bytes:
    """A WebP of small frames on a canvas of 40 million pixels."""
    body = bytearray(animated("WEBP"))
    assert body[12:16] == b"VP8X"
    body[24:30] = (8000 - 1).to_bytes(3, "little") + (5000 - 1).to_bytes(3, "little")
    return bytes(body)


def spoiled(content: bytes, *, at: float = 0.5, length: int = 400) -> bytes:
    """The same with bytes overwritten in the middle."""
    start = int(len(content) * at)
    return content[:start] + bytes(range(256)) * 2 + content[start + length :]


def broken_exif() -> bytes:
    body = jpeg()
    rubbish = b"Exif\0\0II*\0" + b"\xff" * 200
    return body[:2] + b"\xff\xe1" + struct.pack(">H", len(rubbish) + 2) + rubbish + body[2:]


def looped_exif() -> bytes:
    """EXIF whose directory points to itself."""
    loop = (
        b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 1) + struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<I", 8)
    )
    body = jpeg()
    return body[:2] + b"\xff\xe1" + struct.pack(">H", len(loop) + 2) + loop + body[2:]


def zip_behind(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("evil.html", "<script>alert(1)</script>")
    return content + buffer.getvalue()


def script_inside() -> bytes:
    return encoded(photo(), "JPEG", comment=b"*/=alert(1);/*<script>alert(document.domain)</script>")


def text_png() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "SecretAuthor")
    info.add_itxt("XML:com.adobe.xmp", "<x>SecretXmp</x>")
    return encoded(photo(), "PNG", pnginfo=info)


def see_through() -> Image.Image:
    image = photo(320, 240).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize((320, 240)))
    return image


BAD_FILES = [
    Sent("one_byte", "image/jpeg", lambda: b"\xff", ("UNSUPPORTED_FORMAT",)),
    Sent("noise", "image/jpeg", lambda: numpy.random.default_rng(1).bytes(50_000), ("UNSUPPORTED_FORMAT",)),
    Sent("zeros", "image/png", lambda: bytes(10_000), ("UNSUPPORTED_FORMAT",)),
    Sent("plain_text", "image/jpeg", lambda: b"hello " * 100, ("UNSUPPORTED_FORMAT",)),
    Sent("html", "image/jpeg", lambda: b"<!DOCTYPE html><script>alert(1)</script>", ("UNSUPPORTED_FORMAT",)),
    Sent("svg", "image/png", lambda: b"<svg onload='alert(1)'/>", ("UNSUPPORTED_FORMAT",)),
    Sent("svg_with_prolog", "image/jpeg", lambda: b"<?xml version='1.0'?>\n<svg/>", ("UNSUPPORTED_FORMAT",)),
    Sent("json", "image/webp", lambda: json.dumps({"a": 1}).encode(), ("UNSUPPORTED_FORMAT",)),
    Sent("gif", "image/png", lambda: encoded(photo(64, 64), "GIF"), ("UNSUPPORTED_FORMAT",)),
    Sent("animated_gif", "image/webp", lambda: animated("GIF"), ("UNSUPPORTED_FORMAT",)),
    Sent("gif_script_polyglot", "image/jpeg", lambda: b"GIF89a=1;alert(1)//" + bytes(99), ("UNSUPPORTED_FORMAT",)),
    Sent("bmp", "image/jpeg", lambda: encoded(photo(64, 64), "BMP"), ("UNSUPPORTED_FORMAT",)),
    Sent("tiff", "image/jpeg", lambda: encoded(photo(64, 64), "TIFF"), ("UNSUPPORTED_FORMAT",)),
    Sent("pdf", "image/jpeg", lambda: b"%PDF-1.7\n1 0 obj", ("UNSUPPORTED_FORMAT",)),
    Sent("zip", "image/png", lambda: zip_behind(b""), ("UNSUPPORTED_FORMAT",)),
    Sent("program", "image/png", lambda: b"\x7fELF" + bytes(500), ("UNSUPPORTED_FORMAT",)),
    Sent("video", "image/heic", lambda: b"\0\0\0\x18ftypisom\0\0\2\0isommp41" + bytes(500), ("UNSUPPORTED_FORMAT",)),
    Sent("png_as_jpeg", "image/jpeg", lambda: encoded(photo(), "PNG"), ("UNSUPPORTED_FORMAT",)),
    Sent("jpeg_as_png", "image/png", jpeg, ("UNSUPPORTED_FORMAT",)),
    Sent("jpeg_as_heic", "image/heic", jpeg, ("UNSUPPORTED_FORMAT",)),
    Sent("truncated_jpeg", "image/jpeg", lambda: jpeg()[:9000], ("CORRUPT",)),
    Sent("jpeg_start_only", "image/jpeg", lambda: b"\xff\xd8\xff\xe0", ("CORRUPT",)),
    Sent("truncated_png", "image/png", lambda: encoded(photo(), "PNG")[:20_000], ("CORRUPT",)),
    Sent("truncated_webp", "image/webp", lambda: encoded(photo(), "WEBP")[:4000], ("CORRUPT",)),
    Sent("truncated_heic", "image/heic", lambda: modern("HEIF")[:6000], ("CORRUPT",)),
    Sent("truncated_avif", "image/avif", lambda: modern("AVIF")[:3000], ("CORRUPT",)),
    Sent("heic_without_picture", "image/heic", lambda: modern("HEIF")[:32], ("CORRUPT",)),
    Sent("spoiled_png", "image/png", lambda: spoiled(encoded(photo(), "PNG")), (OK, "CORRUPT")),
    Sent("spoiled_jpeg", "image/jpeg", lambda: spoiled(jpeg()), (OK, "CORRUPT")),
    Sent("spoiled_webp", "image/webp", lambda: spoiled(encoded(photo(), "WEBP")), (OK, "CORRUPT")),
    Sent("spoiled_heic", "image/heic", lambda: spoiled(modern("HEIF")), (OK, "CORRUPT")),
    Sent("spoiled_avif", "image/avif", lambda: spoiled(modern("AVIF")), (OK, "CORRUPT")),
    Sent("bomb_png", "image/png", bomb_png, ("TOO_MANY_PIXELS",)),
    Sent("header_bomb", "image/png", lambda: png(60_000, 60_000, depth=8, colour=2, data=b""), ("TOO_MANY_PIXELS",)),
    Sent("bomb_jpeg", "image/jpeg", huge_jpeg, ("TOO_MANY_PIXELS",)),
    Sent("bomb_webp", "image/webp", huge_webp, ("TOO_MANY_PIXELS",)),
    Sent("text_bomb_png", "image/png", text_bomb_png, (OK, "CORRUPT", "MEMORY_LIMIT")),
    Sent("profile_bomb_png", "image/png", profile_bomb_png, (OK, "CORRUPT", "MEMORY_LIMIT")),
    Sent("endless_jpeg", "image/jpeg", endless_jpeg, ("TIME_LIMIT",)),
    Sent("one_pixel", "image/png", lambda: encoded(photo(1, 1), "PNG"), ("BAD_DIMENSIONS",)),
    Sent("needle", "image/png", lambda: encoded(Image.new("L", (1, 60_000)), "PNG"), ("BAD_DIMENSIONS",)),
    Sent("ribbon", "image/png", lambda: encoded(Image.new("L", (60_000, 20)), "PNG"), ("BAD_DIMENSIONS",)),
    Sent("no_size", "image/png", lambda: png(0, 0, depth=8, colour=2, data=b""), ("CORRUPT",)),
]  # fmt: skip
"""Files that must be refused, or come out clean, at little cost."""

ODD_FILES = [
    Sent("everything_inside", "image/jpeg", with_everything, (OK,)),
    Sent("text_in_png", "image/png", text_png, (OK,)),
    Sent("script_in_comment", "image/jpeg", script_inside, (OK,)),
    Sent("zip_behind_jpeg", "image/jpeg", lambda: zip_behind(jpeg()), (OK,)),
    Sent("broken_exif", "image/jpeg", broken_exif, (OK,)),
    Sent("looped_exif", "image/jpeg", looped_exif, (OK,)),
    Sent("animated_png", "image/png", lambda: animated("PNG"), (OK,)),
    Sent("animated_webp", "image/webp", lambda: animated("WEBP"), (OK,)),
    Sent("cmyk", "image/jpeg", lambda: encoded(photo().convert("CMYK"), "JPEG"), (OK,)),
    Sent("grey_16_bit", "image/png", grey16_png, (OK,)),
    Sent("colour_16_bit", "image/png", rgb16_png, (OK,)),
    Sent("palette", "image/png", lambda: encoded(photo().quantize(64), "PNG", transparency=0), (OK,)),
    Sent("black_and_white", "image/png", lambda: encoded(photo().convert("1"), "PNG"), (OK,)),
    Sent("grey_and_alpha", "image/png", lambda: encoded(see_through().convert("LA"), "PNG"), (OK,)),
    Sent("see_through", "image/webp", lambda: encoded(see_through(), "WEBP"), (OK,)),
    Sent("lossless", "image/webp", lambda: encoded(photo(), "WEBP", lossless=True), (OK,)),
    Sent("progressive", "image/jpeg", lambda: encoded(photo(1000, 750), "JPEG", progressive=True), (OK,)),
    Sent("heic", "image/heic", lambda: modern("HEIF"), (OK,)),
    Sent("avif", "image/avif", lambda: modern("AVIF"), (OK,)),
    Sent("tall", "image/jpeg", lambda: encoded(photo(300, 2400), "JPEG"), (OK,)),
    Sent("small", "image/jpeg", lambda: encoded(photo(16, 16), "JPEG"), (OK,)),
    *(Sent(f"turned_{number}", "image/jpeg", lambda number=number: turned(number), (OK,)) for number in range(1, 9)),
]  # fmt: skip
"""Files that are fine, in ways that trip programs."""
