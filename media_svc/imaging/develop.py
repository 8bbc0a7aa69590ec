"""An original in, every variant out. Runs in a child process under limits, on bytes that nobody has checked.

Whatever fails while the original is read is the original's fault and becomes a `Refusal`; `MemoryError` and faults of
the later steps are raised.
"""

import io
import warnings

import blurhash_rs
import pillow_heif
from PIL import AvifImagePlugin, Image, ImageCms, ImageFile, ImageOps

from media_svc.domain import Developed, ImageFormat, Picture, Refusal, RejectedReason, Variant
from media_svc.imaging import recipe, webp
from media_svc.imaging.recipe import Size
from media_svc.imaging.sniff import WEBP, Format, looks_like, sniff, webp_size

ORIENTATION = 0x0112
BLURHASH_COMPONENTS = (4, 3)
WHITE = (255, 255, 255)
SIXTEEN_BITS = 65_535
EIGHT_BITS = 255

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What sets an original upright, by its EXIF orientation."""
_SIDEWAYS = {5, 6, 7, 8}


def prepare() -> None:
    """Load every decoder, once, before children are forked: afterwards nothing more can be read from disk."""
    # Sizes are checked by our own rule, which refuses earlier.
    Image.MAX_IMAGE_PIXELS = None
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    # Threads would each reserve address space, and a child has one core's worth of work.
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    pillow_heif.options.DECODE_THREADS = 1
    pillow_heif.register_heif_opener(thumbnails=False)
    Image.init()
    # Pillow imports some of its modules on first use: use them.
    sample = Image.new("RGB", (recipe.MIN_SIDE, recipe.MIN_SIDE))
    exif = sample.getexif()
    exif[ORIENTATION] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name in ("JPEG", "PNG", "WEBP"):
        buffer = io.BytesIO()
        sample.save(buffer, name, exif=exif, icc_profile=profile)
        content = buffer.getvalue()
        result = develop(content, declared=f"image/{name.lower()}", max_bytes=len(content))
        if isinstance(result, Refusal):
            raise ImportError(f"this Pillow can't handle {name}: {result.detail}")  # noqa: TRY004 - of the library, not of a value


def develop(original: bytes, *, declared: str, max_bytes: int) -> Developed | Refusal:
    """Return the picture that the bytes are, or why they can't be one."""
    if not original:
        return Refusal(RejectedReason.EMPTY, "no_bytes")
    if len(original) > max_bytes:
        return Refusal(RejectedReason.TOO_LARGE, "more_than_declared")
    found = sniff(original)
    if found is None:
        return Refusal(RejectedReason.UNSUPPORTED_FORMAT, f"looks_like_{looks_like(original)}")
    if found.content_type != declared:
        return Refusal(RejectedReason.UNSUPPORTED_FORMAT, f"is_{found.word}_not_as_declared")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of metadata that is dropped anyway
        return _develop(original, found)


def _develop(original: bytes, found: Format) -> Developed | Refusal:
    if found is WEBP and (stated := webp_size(original)) and (refusal := recipe.refuse_size(*stated)):
        return refusal
    try:
        image = _opened(original, found)
        # Before anything else: of a PNG, even the metadata is read by decoding all of it.
        if refusal := recipe.refuse_size(*image.size):
            return refusal
        orientation = _orientation(image)
        width, height = image.size[::-1] if orientation in _SIDEWAYS else image.size
        sizes = recipe.sizes(width, height)
        widest = (sizes[0].width, sizes[0].height)
        image = _decoded(image, widest[::-1] if orientation in _SIDEWAYS else widest)
    except MemoryError:
        raise
    except Exception as error:  # every decoder has its own ways to stumble over bad bytes
        return Refusal(RejectedReason.CORRUPT, _corrupt_detail(found, error))
    if orientation in _TURNS:
        image = image.transpose(_TURNS[orientation])
    return _developed(_plain(image), sizes, width, height)


def _opened(original: bytes, found: Format) -> Image.Image:
    if found is WEBP and webp.is_still(original):
        return webp.decoded(original)
    return Image.open(io.BytesIO(original), formats=[found.decoder])


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except MemoryError:
        raise
    except Exception:  # a photo with broken metadata is still a photo
        return 1


def _decoded(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Decode the first frame and shrink it to `size`, in its own colours."""
    image.draft(None, size)  # a JPEG is decoded at the smallest size that is large enough
    image.load()
    profile = image.info.get("icc_profile")
    if image.mode == "P":
        image = _converted(image, "RGBA" if "transparency" in image.info else "RGB")
    elif image.mode == "1":
        image = _converted(image, "L")
    elif "transparency" in image.info and image.mode in ("L", "RGB"):
        image = _converted(image, "LA" if image.mode == "L" else "RGBA")
    if image.mode.startswith("I"):
        # Sixteen bits of grey: Pillow shrinks them by averaging only, and clips them when it converts.
        image = image.resize(size, Image.Resampling.BOX).convert("F")
        image = image.point(lambda value: value * (EIGHT_BITS / SIXTEEN_BITS) + 0).convert("L")
    elif image.size != size:
        if image.mode in ("RGBA", "LA"):
            # With transparency `resize` has no use for reducing_gap, and takes three times as long.
            image = image.reduce(max(1, image.width // size[0] // 2))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    image.info = {"icc_profile": profile} if isinstance(profile, bytes) else {}
    return image


def _converted(image: Image.Image, mode: str) -> Image.Image:
    """Return the image in another mode; the one given is closed, since a child has no memory for both."""
    converted = image.convert(mode)
    image.close()
    return converted


def _plain(image: Image.Image) -> Image.Image:
    """Return the image in sRGB, on white where it was transparent, with nothing attached to it."""
    profile = image.info.get("icc_profile")
    if image.mode in ("RGBA", "LA", "PA"):
        colour = image.convert("RGBA")
        image = Image.new("RGB", image.size, WHITE)
        image.paste(colour, mask=colour.getchannel("A"))
    elif image.mode not in ("RGB", "L", "CMYK"):
        image = image.convert("RGB")
    converted = _from_profile(image, profile) if profile else None
    plain = converted or image.convert("RGB")
    plain.info = {}
    return plain


def _from_profile(image: Image.Image, profile: bytes) -> Image.Image | None:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None  # a profile that is broken, or of another kind of colours: as if there were none


def _developed(image: Image.Image, sizes: list[Size], width: int, height: int) -> Developed:
    variants: list[Variant] = []
    contents: list[bytes] = []
    scaled = image
    for size in sizes:
        # From the one before: it is smaller, and large enough, unless it is wide and too low for the square.
        scaled = _scaled(scaled if scaled.height >= size.height else image, size)
        for image_format in ImageFormat:
            content = _encoded(scaled, image_format)
            name = size.name(image_format)
            variants.append(Variant(name, size.width, size.height, image_format, len(content), size.is_square))
            contents.append(content)
    small = image.resize((32, 32), Image.Resampling.BOX)
    picture = Picture(
        variants=tuple(variants),
        blurhash=blurhash_rs.blurhash_encode(small, *BLURHASH_COMPONENTS),
        dominant_colour=_dominant_colour(small),
        width=width,
        height=height,
    )
    return Developed(picture, tuple(contents))


def _scaled(image: Image.Image, size: Size) -> Image.Image:
    wanted = (size.width, size.height)
    if size.is_square:
        return ImageOps.fit(image, wanted, Image.Resampling.LANCZOS)
    return image if image.size == wanted else image.resize(wanted, Image.Resampling.LANCZOS)


def _encoded(image: Image.Image, image_format: ImageFormat) -> bytes:
    buffer = io.BytesIO()
    if image_format is ImageFormat.WEBP:
        image.save(buffer, "WEBP", quality=recipe.WEBP_QUALITY, method=recipe.WEBP_METHOD)
    else:
        image.save(buffer, "JPEG", quality=recipe.JPEG_QUALITY, optimize=True, progressive=True)
    return buffer.getvalue()


def _dominant_colour(small: Image.Image) -> str:
    few = small.quantize(8, Image.Quantize.MEDIANCUT).convert("RGB")
    colours = few.getcolors() or [(1, WHITE)]
    _, colour = max(colours)
    return "#{:02x}{:02x}{:02x}".format(*colour)  # type: ignore[misc]  # of an RGB image: three numbers


def _corrupt_detail(found: Format, error: Exception) -> str:
    is_short = "truncated" in str(error) or "Truncated" in str(error)
    return f"{found.word}_truncated" if is_short else f"{found.word}_undecodable"
