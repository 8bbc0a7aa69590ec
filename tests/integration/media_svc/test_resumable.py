"""Uploads in parts: what arrives, what is refused, what a broken connection costs."""

import hashlib
import io
from datetime import timedelta

import pytest

from heliograph.media.v1 import upload_pb2
from media_svc.domain import PART_BYTES
from mesh.errors import HeliographError
from tests import pictures
from tests.integration.media_svc.conftest import READY, REJECTED, Person, Rig


def fails_with(reason: str):
    return pytest.raises(HeliographError, check=lambda error: error.reason == reason)


@pytest.fixture(scope="module")
def large() -> bytes:
    """A photo of three parts: a JPEG with 11 MiB of something behind it, as phones append films."""
    return pictures.jpeg() + bytes(11 * 1024**2)


def cut(content: bytes) -> dict[int, bytes]:
    return {1 + at // PART_BYTES: content[at : at + PART_BYTES] for at in range(0, len(content), PART_BYTES)}


async def begin(person: Person, content: bytes, key: str = "k1"):
    return await person.call(
        "CreateResumableUpload", kind=1, content_type="image/jpeg", size_bytes=len(content), request_id=key
    )


async def put(person: Person, upload_id: str, number: int, part: bytes, *, sent: bytes | None = None) -> int:
    """Sign a part and send it, or other bytes in its place; return the store's status."""
    reply = await person.call(
        "SignUploadParts", upload_id=upload_id, parts=[{"part_number": number, "sha256": hashlib.sha256(part).digest()}]
    )
    headers = {header.name: header.value for header in reply.parts[0].headers}
    headers.pop("content-length")  # the client's library sends it
    async with person.rig.http.put(
        reply.parts[0].url, data=io.BytesIO(part if sent is None else sent), headers=headers
    ) as response:
        await response.read()
        return response.status


async def test_large_original_survives_broken_connections(rig: Rig, large: bytes):
    person = rig.person()
    reply = await begin(person, large)
    assert (reply.part_count, reply.part_size_bytes) == (3, PART_BYTES)
    assert (await begin(person, large)).upload.upload_id == reply.upload.upload_id
    upload_id = reply.upload.upload_id
    parts = cut(large)
    assert await put(person, upload_id, 2, parts[2]) == 200
    with pytest.raises(HeliographError) as caught:
        await person.call("CompleteUpload", upload_id=upload_id)
    assert caught.value.reason == "UPLOAD_PARTS_MISSING"
    assert caught.value.metadata["missing"] == "1,3"
    arrived = await person.call("ListUploadParts", upload_id=upload_id)
    assert [(part.part_number, part.size_bytes) for part in arrived.parts] == [(2, PART_BYTES)]
    assert arrived.parts[0].sha256 == hashlib.sha256(parts[2]).digest()
    for number in (3, 1):
        assert await put(person, upload_id, number, parts[number]) == 200
    for _ in range(2):
        await person.call("CompleteUpload", upload_id=upload_id)
    assert (await person.finished(upload_id)).status == READY
    assert not (await person.call("ListUploadParts", upload_id=upload_id)).parts
    with fails_with("UPLOAD_ALREADY_COMPLETE"):
        await put(person, upload_id, 1, parts[1])


async def test_store_refuses_a_part_that_is_not_the_declared_one(rig: Rig, large: bytes):
    person = rig.person()
    upload_id = (await begin(person, large, "k2")).upload.upload_id
    part = cut(large)[1]
    assert await put(person, upload_id, 1, part, sent=b"y" + part[1:]) == 400
    assert await put(person, upload_id, 1, part, sent=part[:-1]) == 403
    assert not (await person.call("ListUploadParts", upload_id=upload_id)).parts


async def test_checksum_declared_anew_without_sending_again_is_noticed(rig: Rig, large: bytes):
    person = rig.person()
    upload_id = (await begin(person, large, "k3")).upload.upload_id
    for number, part in cut(large).items():
        await put(person, upload_id, number, part)
    await person.call("SignUploadParts", upload_id=upload_id, parts=[{"part_number": 1, "sha256": bytes(32)}])
    await person.call("CompleteUpload", upload_id=upload_id)
    upload = await person.finished(upload_id)
    assert upload.status == REJECTED
    assert upload.rejected_reason == upload_pb2.UPLOAD_REJECTED_REASON_CHECKSUM_MISMATCH


async def test_wrong_parts_are_refused(rig: Rig, large: bytes):
    person = rig.person()
    upload_id = (await begin(person, large, "k4")).upload.upload_id
    for number, digest in ((0, bytes(32)), (4, bytes(32)), (1, b"short")):
        with fails_with("PART_INVALID"):
            await person.call("SignUploadParts", upload_id=upload_id, parts=[{"part_number": number, "sha256": digest}])
    with fails_with("BATCH_TOO_LARGE"):
        await person.call("SignUploadParts", upload_id=upload_id, parts=[])
    form = (await person.create(b"x")).upload.upload_id
    with fails_with("UPLOAD_NOT_RESUMABLE"):
        await person.call("ListUploadParts", upload_id=form)
    with fails_with("UPLOAD_TOO_LARGE"):
        await person.call(
            "CreateResumableUpload", kind=1, content_type="image/jpeg", size_bytes=(100 << 20) + 1, request_id="k"
        )


async def test_parts_of_an_aborted_upload_are_thrown_away(rig: Rig, large: bytes):
    person = rig.person()
    upload_id = (await begin(person, large, "k5")).upload.upload_id
    await put(person, upload_id, 1, cut(large)[1])
    await person.call("AbortUpload", upload_id=upload_id)
    assert not [one for one in await rig.multipart.open("heliograph-incoming", "") if upload_id in one.key]


async def test_parts_can_not_be_signed_after_a_day(rig: Rig, large: bytes):
    person = rig.person()
    upload_id = (await begin(person, large, "k6")).upload.upload_id
    rig.clock.shift = timedelta(hours=24, seconds=1)
    try:
        with fails_with("UPLOAD_EXPIRED"):
            await put(person, upload_id, 1, cut(large)[1])
    finally:
        rig.clock.shift = timedelta(0)
