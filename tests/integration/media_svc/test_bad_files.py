"""U2 and U3 on real servers: whatever is sent ends READY and clean or REJECTED with a reason, at a bounded cost."""

import asyncio
import io
import resource
import subprocess
import sys

import pytest
from PIL import Image
from prometheus_client import REGISTRY
from prometheus_client.utils import floatToGoString

from heliograph.media.v1 import upload_pb2
from media_svc.domain import MAX_FORM_BYTES
from media_svc.imaging import sandbox
from tests import pictures
from tests.integration.media_svc.conftest import READY, REJECTED, Rig
from tests.pictures import BAD_FILES, ODD_FILES, OK, Sent

AT_ONCE = 6
SERVED_WITH = ("Content-Type", "Cache-Control", "X-Content-Type-Options")


def children(metric: str, limit: float) -> tuple[float, float]:
    """How many children ended so far, and how many of them within the limit."""
    return (
        REGISTRY.get_sample_value(f"{metric}_count") or 0.0,
        REGISTRY.get_sample_value(f"{metric}_bucket", {"le": floatToGoString(limit)}) or 0.0,
    )


def has_promised_end(sent: Sent, upload) -> bool:
    """Whether an upload ended as it may, with a reason if it was refused."""
    if upload.status == READY:
        return OK in sent.allowed and not upload.rejected_reason
    name = upload_pb2.UploadRejectedReason.Name(upload.rejected_reason).removeprefix("UPLOAD_REJECTED_REASON_")
    return upload.status == REJECTED and name in sent.allowed and bool(upload.rejected_detail)


async def is_clean(rig: Rig, media) -> bool:
    """Whether every variant is a plain picture of its stated size, without anything attached."""
    for variant in media.variants:
        address = f"{rig.config.s3.reached_by_apps}/{media.bucket}/{media.key_prefix}{variant.url}"
        async with rig.http.get(address) as response:
            content = await response.read()
            served_as = tuple(response.headers[name] for name in SERVED_WITH)
        expected = "image/webp" if variant.url.endswith("webp") else "image/jpeg"
        image = Image.open(io.BytesIO(content))
        image.load()
        if served_as != (expected, "public, max-age=31536000, immutable", "nosniff"):
            return False
        if image.size != (variant.width, variant.height):
            return False
        if dict(image.getexif()) or b"Secret" in content or b"script" in content or "icc_profile" in image.info:
            return False
    return True


async def test_U2_U3_every_strange_file_ends_as_promised_and_the_service_stays_up(rig: Rig):
    cpu_before = children("media_decoder_cpu_seconds", 6.0)
    memory_before = children("media_decoder_memory_bytes", 512.0 * 1024**2)
    person = rig.person()
    places = asyncio.Semaphore(AT_ONCE)
    wrong: list[str] = []

    async def send(sent: Sent) -> None:
        async with places:
            content = sent.make()
            assert 0 < len(content) <= MAX_FORM_BYTES, sent.name
            upload_id = await person.upload(content, content_type=sent.declared)
            upload = await person.finished(upload_id)
            if not has_promised_end(sent, upload):
                wrong.append(f"{sent.name}: {upload.status} {upload.rejected_reason} {upload.rejected_detail}")
            elif upload.status == READY and not await is_clean(
                rig, await person.attach(upload_id, f"post:{sent.name}")
            ):
                wrong.append(f"{sent.name}: not clean")

    async with asyncio.TaskGroup() as group:
        for sent in BAD_FILES + ODD_FILES:
            group.create_task(send(sent))
    assert not wrong
    cpu, memory = (
        children("media_decoder_cpu_seconds", 6.0),
        children("media_decoder_memory_bytes", 512.0 * 1024**2),
    )
    assert cpu[0] - cpu_before[0] >= len(BAD_FILES + ODD_FILES)
    assert cpu[0] - cpu_before[0] == cpu[1] - cpu_before[1]
    assert memory[0] - memory_before[0] == memory[1] - memory_before[1]
    assert (await person.ready(pictures.jpeg(seed=99))).photo.width == 640


async def test_U2_sabotage_photo_that_is_served_as_it_came_is_not_clean(rig: Rig):
    """The check above notices an original that stands where a variant should."""
    person = rig.person()
    content = pictures.with_everything()
    media = await person.attach((await person.ready(content)).upload_id)
    assert await is_clean(rig, media)
    variant = next(one for one in media.variants if one.url == "640.jpg")
    await rig.objects.put(
        media.bucket,
        media.key_prefix + variant.url,
        content,
        content_type="image/jpeg",
        cache_control="public, max-age=31536000, immutable",
    )
    assert not await is_clean(rig, media)


async def test_U2_originals_are_removed_once_decided(rig: Rig):
    person = rig.person()
    for content in (pictures.jpeg(seed=1), b"<html>"):
        await person.finished(await person.upload(content))
    async with asyncio.timeout(5):
        while await rig.objects.list("heliograph-incoming"):
            await asyncio.sleep(0.05)


def test_U2_sabotage_library_defaults_take_more_than_the_limit():
    """The bomb is one: without our limits the library unpacks it."""
    code = (
        "import resource, sys, warnings, io; from PIL import Image; warnings.simplefilter('ignore');"
        "Image.open(io.BytesIO(sys.stdin.buffer.read())).convert('RGB').load();"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"
    )
    ran = subprocess.run([sys.executable, "-c", code], input=pictures.bomb_png(), capture_output=True, check=True)
    assert len(pictures.bomb_png()) < 32 * 1024
    assert int(ran.stdout) > sandbox.MEMORY_BYTES


@pytest.mark.parametrize("name", ["RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_CORE"])
def test_U2_limits_are_set_for_each_child(name: str):
    set_limits = "import resource; from media_svc.imaging import sandbox; sandbox.set_limits()"
    code = f"{set_limits}; print(resource.getrlimit(resource.{name})[0])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert int(ran.stdout) != resource.RLIM_INFINITY
    assert int(ran.stdout) <= sandbox.MEMORY_BYTES
