"""Photos: a 12-megapixel JPEG to every variant beside libvips, photos per second, upload to READY, reconciliation.

The reference makes the same eight files (1080, 640, 320 and the square, in WebP and JPEG, same qualities) with libvips'
own command line, where that is installed (Debian: libvips-tools), in the quicker of two ways: each file from the
original, or all of them from the widest size, kept without compression in between. The same is measured against the
library without its command line, by a program of a few lines around the library's wheel, of which only the work is
counted, not the start of Python; where there is no command line, that stands for it too, and is the harder reference.
Ours is a whole journey into the sandboxed child and back.
"""

import asyncio
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import psycopg
from minio import Minio
from prometheus_client import REGISTRY

from benchmarks.bench import Bench
from benchmarks.load import percentile
from devstack.stack import Stack
from heliograph.media.v1 import media_admin_service_pb2, media_admin_service_pb2_grpc
from media_svc.domain import Refusal
from media_svc.imaging import decoders
from media_svc.imaging.decoders import DecoderLost, Decoders
from mesh import auth
from tests import pictures
from tests.media_client import connected

VIPS_PROGRAM = """
import sys, time, pyvips
began = time.perf_counter()
image = pyvips.Image.thumbnail(sys.argv[1], 1080, height=100000, size="down").copy_memory()
for width in (1080, 640, 320):
    scaled = image if width == 1080 else image.resize(width / image.width).copy_memory()
    scaled.webpsave(f"{sys.argv[2]}/{width}.webp", Q=80, effort=4, keep="none")
    scaled.jpegsave(f"{sys.argv[2]}/{width}.jpg", Q=82, optimize_coding=True, interlace=True, keep="none")
square = image.thumbnail_image(150, height=150, crop="centre").copy_memory()
square.webpsave(f"{sys.argv[2]}/square.webp", Q=80, effort=4, keep="none")
square.jpegsave(f"{sys.argv[2]}/square.jpg", Q=82, optimize_coding=True, interlace=True, keep="none")
print(time.perf_counter() - began)
"""
OBJECTS_PER_PHOTO = 8
_INSERT_MEDIA = """
INSERT INTO media (bucket, key_prefix, original_sha256, recipe, variants, blurhash, dominant_colour, width, height,
                   create_time, store_time)
VALUES ('heliograph-photos', %(prefix)s, '', 1, %(variants)s::jsonb, 'bench', '#000000', 1080, 1080, now(), now())
"""
_INSERT_UPLOAD = """
INSERT INTO uploads (upload_id, owner_id, kind, method, content_type, size_bytes, status, create_time, expire_time,
                     finish_time, bucket, key_prefix, reference, attach_time)
VALUES (gen_random_uuid(), 1, 1, 1, 'image/jpeg', 1, 3, now(), now(), now(), 'heliograph-photos', %(prefix)s, 'b',
        now())
"""


async def run(bench: Bench) -> None:
    """Take every figure."""
    original = await asyncio.to_thread(pictures.encoded, pictures.photo(4032, 3024), "JPEG", quality=90)
    bench.say(f"a JPEG of 12 megapixels, {len(original) / 1e6:.1f} MB; {os.cpu_count()} cores")
    async with decoders.start(os.cpu_count() or 1) as ours:
        await _ready(ours)
        await _beside_vips(bench, ours, original)
        await _throughput(bench, ours, original)
    await _service(bench, original)


async def _ready(ours: Decoders) -> None:
    while True:
        try:
            await _develop(ours, pictures.jpeg(64, 64))
        except DecoderLost:
            await asyncio.sleep(0.1)
        else:
            return


async def _develop(ours: Decoders, original: bytes) -> None:
    result = await ours.develop(original, declared="image/jpeg", max_bytes=len(original))
    if isinstance(result, Refusal):
        raise TypeError(f"refused: {result.detail}")


async def _beside_vips(bench: Bench, ours: Decoders, original: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="heliograph-bench-") as folder:
        source = Path(folder, "original.jpg")
        await asyncio.to_thread(source.write_bytes, original)

        async def own() -> float:
            began = time.perf_counter()
            await _develop(ours, original)
            return time.perf_counter() - began

        def references() -> dict[str, float]:
            library = _vips_library(source, Path(folder))
            is_installed = shutil.which("vipsthumbnail") is not None
            return {"vips_library": library, "vips_cli": _vips_cli(source, Path(folder)) if is_installed else library}

        rounds = bench.size(15, 5)
        times = [(await own(), await asyncio.to_thread(references)) for _ in range(rounds)]
    bench.figure("one_photo_ms", median(mine for mine, _ in times) * 1000, "bytes in to eight variants out")
    for name, note in (("vips_cli", _cli_note()), ("vips_library", "in a process that runs already")):
        ratio = median(mine / theirs[name] for mine, theirs in times)
        bench.figure(f"ratio_to_{name}", ratio, note)


def _cli_note() -> str:
    return "against vipsthumbnail" if shutil.which("vipsthumbnail") else "against the library: no vipsthumbnail here"


def _vips_library(source: Path, folder: Path) -> float:
    """Return how many seconds the library itself worked."""
    command = [sys.executable, "-c", VIPS_PROGRAM, str(source), str(folder)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _vips_cli(source: Path, folder: Path) -> float:
    """Return how many seconds the quicker way took."""
    began = time.perf_counter()
    _thumbnails(source, folder)
    each_from_the_original = time.perf_counter() - began
    began = time.perf_counter()
    widest = folder / "widest.v"
    subprocess.run(["vipsthumbnail", str(source), "--size", "1080x", "-o", str(widest)], check=True)
    _thumbnails(widest, folder)
    return min(each_from_the_original, time.perf_counter() - began)


def _thumbnails(source: Path, folder: Path) -> None:
    for size, crop in (("1080x", []), ("640x", []), ("320x", []), ("150x150", ["--smartcrop", "centre"])):
        for options in (".webp[Q=80,effort=4,strip]", ".jpg[Q=82,strip,optimize_coding,interlace]"):
            output = str(folder / f"%s-{size}{options}")
            subprocess.run(["vipsthumbnail", str(source), "--size", size, *crop, "-o", output], check=True)


async def _throughput(bench: Bench, ours: Decoders, original: bytes) -> None:
    count = bench.size(60, 12)
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(_develop(ours, original))
    bench.figure("photos_per_s", count / (time.perf_counter() - began), f"12 megapixels, {os.cpu_count()} cores")
    peak = _peak_bytes()
    bench.figure("peak_memory_mib", peak / 1024**2, "most of any child so far, to 64 MiB upwards")
    largest = pictures.encoded(pictures.slope(8000, 5000, "CMYK"), "JPEG", progressive=True, subsampling=0)
    await _develop(ours, largest)
    peak = _peak_bytes()
    bench.figure("peak_memory_40_megapixels_mib", peak / 1024**2, "a progressive JPEG in four colours")
    bench.require(peak <= 512 * 1024**2, "a child took more than 512 MiB")


def _peak_bytes() -> float:
    """Return the least bucket of memory that holds every child so far."""
    samples = [sample for metric in REGISTRY.collect() for sample in metric.samples]
    buckets = {
        float(sample.labels["le"]): sample.value
        for sample in samples
        if sample.name == "media_decoder_memory_bytes_bucket"
    }
    return min(limit for limit, count in buckets.items() if count == max(buckets.values()))


async def _service(bench: Bench, original: bytes) -> None:
    stack = bench.stack(services=["media_svc"], servers=["postgres", "nats", "s3"])
    async with stack, connected(stack) as client:
        await client.upload(pictures.jpeg())
        count, rate = bench.size(60, 12), 1.5
        bench.say(f"{count} uploads of 12 megapixels, {rate:g} a second")

        async def one(number: int) -> float:
            await asyncio.sleep(number / rate)
            began = time.perf_counter()
            # What stands behind a JPEG's end makes it another original, so nothing is shared.
            await client.upload(original + number.to_bytes(4, "big"))
            return (time.perf_counter() - began) * 1000

        waits = tuple(sorted(await asyncio.gather(*(one(number) for number in range(count)))))
        bench.figure("ready_p50_ms", percentile(waits, 50), "from createUpload to READY and attached")
        bench.figure("ready_p99_ms", percentile(waits, 99), f"the slowest of {count} in fact")
        points = {}
        for photos in (bench.size(6_250, 125), bench.size(12_500, 250)):
            await asyncio.to_thread(_fill, stack, photos)
            points[photos * OBJECTS_PER_PHOTO] = await _reconcile(client.admin)
        bench.scaling("objects", "reconcile_s", points)
        bench.figure("reconcile_objects_per_s", max(points) / points[max(points)], f"{max(points):,} objects")


async def _reconcile(admin: media_admin_service_pb2_grpc.MediaAdminServiceStub) -> float:
    auth.set_viewer(None)
    began = time.perf_counter()
    token = ""
    while True:
        request = media_admin_service_pb2.ReconcileMediaRequest(page_token=token, page_size=1000)
        page = await admin.ReconcileMedia(request)
        token = page.next_page_token
        if page.findings:
            raise TypeError(f"rows and objects disagree: {page.findings[0]}")
        if not token:
            return time.perf_counter() - began


def _fill(stack: Stack, photos: int) -> None:
    """Bring the number of made-up photos to `photos`: rows by SQL, objects by the client's own threads."""
    prefixes = [_prefix(number) for number in range(photos)]
    with psycopg.connect(stack.postgres.admin_dsn("media_svc"), autocommit=True) as connection:
        (present,) = connection.execute("SELECT count(*) FROM media WHERE blurhash = 'bench'").fetchone() or (0,)
        with ThreadPoolExecutor(16) as pool:
            client = stack.s3.client()
            list(pool.map(lambda prefix: _put_photo(client, prefix), prefixes[present:]))
        for prefix in prefixes[present:]:
            connection.execute(_INSERT_MEDIA, {"prefix": prefix, "variants": json.dumps(_variants())})
            connection.execute(_INSERT_UPLOAD, {"prefix": prefix})


def _put_photo(client: Minio, prefix: str) -> None:
    for variant in _variants():
        client.put_object("heliograph-photos", prefix + str(variant["name"]), io.BytesIO(bytes(64)), 64)


def _prefix(number: int) -> str:
    name = hashlib.sha256(number.to_bytes(8, "big")).hexdigest()
    return f"{name[:2]}/{name}/"


def _variants() -> list[dict[str, object]]:
    return [
        {"name": f"{width}.{end}", "width": width, "height": width, "format": 1, "size_bytes": 64, "is_square": False}
        for width in (1080, 640, 320, 150)
        for end in ("webp", "jpg")
    ]
