"""Photos: what was acknowledged as READY is there, byte for byte, after kill -9 of everything and after a power cut.

First a storm: the object store, Postgres, NATS, media_svc and its workers are killed while people upload. Then,
where the machine has loop devices and we are root, the power is cut: the whole stack works on a file system in an
image; all servers are stopped where they stand, the image is copied (it holds only what reached the device), and
the copy is started again. The place of a photo is named by the SHA-256 of its contents, so reading is comparing.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from devstack.folder import temporary_folder
from devstack.stack import Stack
from heliograph.media.v1 import media_pb2
from mesh import objectstore
from mesh.config import S3Config
from mesh.objectstore import ObjectStore
from tests import pictures
from tests.chaos.check import Check
from tests.chaos.power import can_cut_power, copy_sparse, make_file_system, mounted
from tests.chaos.storm import Storm, freeze, kill
from tests.media_client import MediaClient, UploadRefused, connected, is_whole

SABOTAGES = {
    "no_fsync": "the object store syncs nothing and keeps its metadata in files of its own; needs a power cut",
    "lost_object": "an object of an acknowledged photo is removed behind the service's back",
}

SERVERS = ("postgres", "nats", "s3")
UPLOADERS = 4
UNSYNCED: Mapping[str, Mapping[str, str]] = {
    "s3": {
        "filer_conf": '{"version":1,"locations":[{"locationPrefix":"/buckets/","fsync":false}]}',
        "metadata": "files",
    }
}
SYNCED: Mapping[str, Mapping[str, str]] = {}


async def run(check: Check) -> None:
    """Upload under a storm, then before a power cut; read everything back."""
    wanted = 40 if check.quick else 300
    acked, lost = await _storm(check, wanted)
    if can_cut_power():
        cut_acked, cut_lost = await _power_cut(check, 30 if check.quick else 150)
        acked, lost = acked + cut_acked, lost + cut_lost
    else:
        check.say("SKIPPED: the power cut needs root and loop devices (mount -o loop), which this machine refuses")
        check.require(check.sabotage != "no_fsync", "without a power cut this sabotage can't be told from the truth")
    check.count("acked", len(acked))
    check.none_may_be("lost", len(lost), *lost)


async def _storm(check: Check, wanted: int) -> tuple[list[str], list[str]]:
    async with check.stack(services=["media_svc"], servers=SERVERS) as stack:
        faults = {
            f"kill_{name}": lambda name=name: kill(stack, name)
            for name in ("s3", "s3.front", "postgres", "nats", "media_svc.serve", "media_svc.work")
        } | {"freeze_s3": lambda: freeze(stack, "s3", 2.0)}
        async with connected(stack) as client:
            check.say(f"{UPLOADERS} people upload {wanted} photos while servers and services are killed")
            async with Storm(check, faults, every_seconds=(1.0, 3.0)):
                medias = await _upload(check, client, wanted)
            for name in ("s3", "postgres", "nats"):
                await stack.wait_ready(name)
            if check.sabotage == "lost_object":
                async with _objects(stack) as objects:
                    await objects.remove(medias[0].bucket, [medias[0].key_prefix + medias[0].variants[0].url])
            check.require(sum(check.faults.values()) >= 3, "too few faults were fired to tell anything")
            return await _compare(check, stack, medias)


async def _power_cut(check: Check, wanted: int) -> tuple[list[str], list[str]]:
    settings = UNSYNCED if check.sabotage == "no_fsync" else SYNCED
    with temporary_folder("power") as folder:
        image, copy, disk = folder / "disk.img", folder / "after.img", folder / "disk"
        disk.mkdir(mode=0o755)
        make_file_system(image)
        with mounted(image, disk):
            async with Stack(disk / "state", services=["media_svc"], servers=SERVERS, settings=settings) as stack:
                async with connected(stack) as client:
                    check.say(f"{wanted} photos are uploaded, then the power is cut")
                    medias = await _upload(check, client, wanted)
                for name in ("s3", "postgres", "nats", "media_svc.work", "media_svc.serve"):
                    stack.pause(name)
                check.fault("power_cut")
                await asyncio.to_thread(copy_sparse, image, copy)
        with mounted(copy, disk):
            began = time.monotonic()
            async with Stack(disk / "state", services=[], servers=SERVERS, settings=settings) as stack:
                check.say(f"the servers were repaired and answered {time.monotonic() - began:.1f} s later")
                return await _compare(check, stack, medias)


async def _upload(check: Check, client: MediaClient, wanted: int) -> list[media_pb2.Media]:
    medias: list[media_pb2.Media] = []
    numbers = iter(range(wanted))
    refused: list[str] = []

    async def uploader() -> None:
        for number in numbers:
            content = await asyncio.to_thread(pictures.encoded, pictures.photo(480, 360, seed=number), "JPEG")
            try:
                medias.append(await client.upload(content, patience_seconds=120))
            except UploadRefused as refusal:
                refused.append(str(refusal))

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(UPLOADERS):
            group.create_task(uploader())
    check.say(f"{len(medias)} photos acknowledged in {time.monotonic() - began:.1f} s")
    check.none_may_be("refused", len(refused), *refused)
    return medias


async def _compare(check: Check, stack: Stack, medias: list[media_pb2.Media]) -> tuple[list[str], list[str]]:
    lost = []
    async with _objects(stack) as objects:
        # The first one waits until volumes are found again; what is missing after that is lost.
        if medias and not await is_whole(objects, medias[0]):
            await asyncio.sleep(20)
        for media in medias:
            if not await is_whole(objects, media, patience_seconds=2.0):
                lost.append(media.upload_id)
    check.say(f"{len(medias) - len(lost)} of {len(medias)} photos are there, with equal SHA-256")
    return [media.upload_id for media in medias], lost


@asynccontextmanager
async def _objects(stack: Stack) -> AsyncIterator[ObjectStore]:
    config = S3Config(stack.s3.endpoint, stack.state.s3_access_key, stack.state.s3_secret_key, "us-east-1", None)
    async with objectstore.connect(config) as objects:
        yield objects
