"""From the wish to upload to the attached photo, on real servers."""

import asyncio
import uuid
from datetime import timedelta

import pytest

from heliograph.events.v1 import live_events_pb2
from heliograph.media.v1 import upload_pb2
from media_svc.config import QuotaConfig
from mesh.errors import HeliographError
from tests import pictures
from tests.integration.media_svc.conftest import (
    PENDING,
    POST,
    PROCESSING,
    READY,
    REJECTED,
    STORY,
    Rig,
    running_rig,
)

PHOTO = pictures.jpeg()


def fails_with(reason: str):
    return pytest.raises(HeliographError, check=lambda error: error.reason == reason)


async def test_photo_becomes_ready_and_its_owner_hears_of_it(rig: Rig):
    person = rig.person()
    heard: list[int] = []
    notices = await rig.jetstream.hear(
        f"live.{person.user_id}",
        lambda notice: heard.append(live_events_pb2.LiveEvent.FromString(notice.data).upload_status_changed.status),
    )
    created = await person.create(PHOTO)
    assert created.upload.status == PENDING
    assert await person.send(created.form, PHOTO) == 204
    completed = await person.call("CompleteUpload", upload_id=created.upload.upload_id)
    assert completed.upload.status in (PROCESSING, READY)
    upload = await person.finished(created.upload.upload_id)
    assert (upload.photo.width, upload.photo.height) == (640, 480)
    assert [variant.width for variant in upload.photo.variants] == [640, 640, 320, 320, 150, 150]
    assert not any(variant.url for variant in upload.photo.variants)
    await asyncio.sleep(0.1)
    assert heard[-1] == READY
    await notices.unsubscribe()


async def test_same_request_is_the_same_upload_at_every_step(rig: Rig):
    person = rig.person()
    key = str(uuid.uuid4())
    first, second = await person.create(PHOTO, request_id=key), await person.create(PHOTO, request_id=key)
    assert first.upload.upload_id == second.upload.upload_id
    await person.send(second.form, PHOTO)
    again = [await person.call("CompleteUpload", upload_id=first.upload.upload_id) for _ in range(3)]
    assert {reply.upload.upload_id for reply in again} == {first.upload.upload_id}
    await person.finished(first.upload.upload_id)
    third = await person.create(PHOTO, request_id=key)
    assert third.upload.status == READY
    assert not third.HasField("form")
    with fails_with("IDEMPOTENCY_KEY_REUSED"):
        await person.create(PHOTO, request_id=key, kind=STORY)


async def test_form_is_renewed_for_a_day_by_asking_again(rig: Rig):
    person = rig.person()
    key = str(uuid.uuid4())
    first = await person.create(PHOTO, request_id=key)
    try:
        rig.clock.shift = timedelta(hours=23, minutes=58)
        renewed = await person.create(PHOTO, request_id=key)
        assert renewed.HasField("form")
        life = renewed.form.expire_time.ToDatetime() - first.upload.create_time.ToDatetime()
        assert life == timedelta(hours=24)
        rig.clock.shift = timedelta(hours=24, minutes=1)
        assert not (await person.create(PHOTO, request_id=key)).HasField("form")
    finally:
        rig.clock.shift = timedelta(0)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"kind": 0}, "UPLOAD_KIND_INVALID"),
        ({"kind": 9}, "UPLOAD_KIND_INVALID"),
        ({"content_type": "image/svg+xml"}, "CONTENT_TYPE_NOT_ALLOWED"),
        ({"content_type": ""}, "CONTENT_TYPE_NOT_ALLOWED"),
        ({"size_bytes": 0}, "UPLOAD_EMPTY"),
        ({"size_bytes": 15 * 1024**2 + 1}, "UPLOAD_TOO_LARGE"),
        ({"request_id": ""}, "REQUEST_ID_INVALID"),
    ],
)
async def test_wishes_that_are_refused(rig: Rig, fields, reason):
    with fails_with(reason):
        await rig.person().create(PHOTO, **fields)


async def test_U2_form_can_only_be_used_as_it_was_signed(rig: Rig):
    person = rig.person()
    victim = (await person.create(PHOTO)).upload.upload_id
    abuses = {
        "another key": ({"key": "incoming/other"}, PHOTO),
        "somebody else's key": ({"key": f"incoming/{victim}"}, PHOTO),
        "path traversal": ({"key": "incoming/../../heliograph-photos/x"}, PHOTO),
        "another type": ({"Content-Type": "text/html"}, PHOTO),
        "larger": ({}, PHOTO + b"x"),
        "empty": ({}, b""),
        "forged signature": ({"x-amz-signature": "0" * 64}, PHOTO),
        "forged policy": ({"policy": "e30="}, PHOTO),
    }
    for name, (changed, content) in abuses.items():
        created = await person.create(PHOTO)
        status = await person.send(created.form, content, **changed)
        assert 400 <= status < 500, (name, status)
        with fails_with("UPLOAD_BYTES_MISSING"):
            await person.call("CompleteUpload", upload_id=created.upload.upload_id)
    assert not [one for one in await rig.objects.list("heliograph-photos") if one.key == "x"]


async def test_U2_expired_form_is_refused(rig: Rig):
    person = rig.person()
    rig.clock.shift = timedelta(minutes=-6)
    try:
        created = await person.create(PHOTO)
    finally:
        rig.clock.shift = timedelta(0)
    assert await person.send(created.form, PHOTO) in (400, 403)


async def test_U2_form_of_another_bucket_is_refused(rig: Rig):
    person = rig.person()
    created = await person.create(PHOTO)
    created.form.url = created.form.url.replace("heliograph-incoming", "heliograph-photos")
    assert 400 <= await person.send(created.form, PHOTO) < 500


async def test_U2_replaying_the_form_after_the_check_changes_nothing(rig: Rig):
    person = rig.person()
    created = await person.create(PHOTO)
    await person.send(created.form, PHOTO)
    upload_id = created.upload.upload_id
    await person.call("CompleteUpload", upload_id=upload_id)
    await person.finished(upload_id)
    media = await person.attach(upload_id)
    address = f"{rig.config.s3.reached_by_apps}/{media.bucket}/{media.key_prefix}{media.variants[0].url}"
    async with rig.http.get(address) as response:
        before = await response.read()
    await person.send(created.form, b"<html>" + PHOTO[:100])
    completed = await person.call("CompleteUpload", upload_id=upload_id)
    assert completed.upload.status == READY
    await asyncio.sleep(0.2)
    assert await person.attach(upload_id) == media
    async with rig.http.get(address) as response:
        assert await response.read() == before


async def test_U2_unchecked_bytes_and_private_photos_are_not_public(rig: Rig):
    person = rig.person()
    created = await person.create(PHOTO)
    await person.send(created.form, PHOTO)
    story = await person.ready(PHOTO, kind=STORY)
    media = await person.attach(story.upload_id, "story:1", purpose=STORY)
    assert media.bucket == "heliograph-private"
    for path in (
        f"heliograph-incoming/incoming/{created.upload.upload_id}",
        f"{media.bucket}/{media.key_prefix}{media.variants[0].url}",
        "heliograph-photos/",
    ):
        async with rig.http.get(f"{rig.config.s3.endpoint}/{path}") as response:
            assert response.status == 403, path
        async with rig.http.get(f"{rig.config.s3.reached_by_apps}/{path}") as response:
            assert response.status in (403, 404), path


async def test_U3_completion_without_bytes_says_so_and_may_be_repeated(rig: Rig):
    person = rig.person()
    created = await person.create(PHOTO)
    with fails_with("UPLOAD_BYTES_MISSING"):
        await person.call("CompleteUpload", upload_id=created.upload.upload_id)
    await person.send(created.form, PHOTO)
    await person.call("CompleteUpload", upload_id=created.upload.upload_id)
    assert (await person.finished(created.upload.upload_id)).status == READY


async def test_others_uploads_look_as_if_they_did_not_exist(rig: Rig):
    owner, other = rig.person(), rig.person()
    upload = await owner.ready(PHOTO)
    for method in ("GetUpload", "CompleteUpload", "AbortUpload", "ListUploadParts"):
        with fails_with("UPLOAD_NOT_FOUND"):
            await other.call(method, upload_id=upload.upload_id)
        with fails_with("UPLOAD_NOT_FOUND"):
            await other.call(method, upload_id="no-such-upload")
    with fails_with("UPLOAD_NOT_FOUND"):
        await other.attach(upload.upload_id)


async def test_photo_is_attached_once(rig: Rig):
    person = rig.person()
    upload_id = (await person.ready(PHOTO)).upload_id
    results = await asyncio.gather(
        *(person.attach(upload_id, f"post:{number}") for number in range(5)), return_exceptions=True
    )
    assert sum(not isinstance(one, Exception) for one in results) == 1
    assert {one.reason for one in results if isinstance(one, HeliographError)} == {"UPLOAD_ALREADY_ATTACHED"}
    winner = next(number for number, one in enumerate(results) if not isinstance(one, Exception))
    assert await person.attach(upload_id, f"post:{winner}") == results[winner]


async def test_only_ready_photos_of_the_right_kind_can_be_attached(rig: Rig):
    person = rig.person()
    pending = (await person.create(PHOTO)).upload.upload_id
    with fails_with("UPLOAD_NOT_READY"):
        await person.attach(pending)
    refused = await person.upload(b"<html>")
    await person.finished(refused)
    with fails_with("UPLOAD_REJECTED"):
        await person.attach(refused)
    story = await person.ready(PHOTO, kind=STORY)
    with fails_with("UPLOAD_KIND_MISMATCH"):
        await person.attach(story.upload_id)


async def test_same_original_is_stored_once_and_lives_until_its_last_owner_deletes_it(rig: Rig):
    content = pictures.jpeg(seed=77)
    people = [rig.person() for _ in range(3)]
    uploads = [(await person.ready(content)).upload_id for person in people]
    medias = [await person.attach(one) for person, one in zip(people, uploads, strict=True)]
    assert len({media.key_prefix for media in medias}) == 1
    keys = [medias[0].key_prefix + variant.url for variant in medias[0].variants]
    for person, upload_id in zip(people[:2], uploads[:2], strict=True):
        await person.call("DeleteMedia", by="feed_svc", upload_id=upload_id, reference="post:1")
    await asyncio.sleep(0.5)
    for key in keys:
        await rig.objects.stat("heliograph-photos", key)
    await people[2].call("DeleteMedia", by="feed_svc", upload_id=uploads[2], reference="post:1")
    async with asyncio.timeout(10):
        while await rig.objects.list("heliograph-photos", medias[0].key_prefix):
            await asyncio.sleep(0.05)
    again = await people[0].ready(content)
    assert (await people[0].attach(again.upload_id)).key_prefix == medias[0].key_prefix
    for key in keys:
        await rig.objects.stat("heliograph-photos", key)


async def test_deleting_needs_the_reference_and_may_be_repeated(rig: Rig):
    person = rig.person()
    upload_id = (await person.ready(PHOTO)).upload_id
    with fails_with("UPLOAD_NOT_FOUND"):
        await person.call("DeleteMedia", by="feed_svc", upload_id=upload_id, reference="post:1")
    await person.attach(upload_id)
    with fails_with("UPLOAD_REFERENCE_MISMATCH"):
        await person.call("DeleteMedia", by="feed_svc", upload_id=upload_id, reference="post:2")
    first = await person.call("DeleteMedia", by="feed_svc", upload_id=upload_id, reference="post:1")
    assert await person.call("DeleteMedia", by="feed_svc", upload_id=upload_id, reference="post:1") == first
    found = await person.call("BatchGetMedia", by="feed_svc", upload_ids=[upload_id, "rubbish"])
    assert [(one.upload_id, one.found) for one in found.results] == [(upload_id, False), ("rubbish", False)]
    with fails_with("UPLOAD_NOT_FOUND"):
        await person.call("GetUpload", upload_id=upload_id)


async def test_owner_may_give_an_upload_up(rig: Rig):
    person = rig.person()
    created = await person.create(PHOTO)
    await person.send(created.form, PHOTO)
    for _ in range(2):
        aborted = await person.call("AbortUpload", upload_id=created.upload.upload_id)
        assert aborted.upload.status == REJECTED
        assert aborted.upload.rejected_reason == upload_pb2.UPLOAD_REJECTED_REASON_ABORTED
    assert (await person.call("CompleteUpload", upload_id=created.upload.upload_id)).upload.status == REJECTED
    ready = await person.ready(PHOTO)
    with fails_with("UPLOAD_ALREADY_COMPLETE"):
        await person.call("AbortUpload", upload_id=ready.upload_id)


async def test_gateway_may_not_attach_and_feed_may_not_upload(rig: Rig):
    person = rig.person()
    with fails_with("PERMISSION_DENIED"):
        await person.call("AttachUpload", upload_id="x", purpose=POST, reference="r")
    with fails_with("PERMISSION_DENIED"):
        await person.call("CreateUpload", by="feed_svc", kind=POST, content_type="image/jpeg", size_bytes=1)
    with fails_with("PERMISSION_DENIED"):
        await person.call("DeleteMedia", by="cli", upload_id="x", reference="r")


async def test_quotas_hold_against_calls_side_by_side(stack, tmp_path):
    quota = QuotaConfig(uploads_per_day=5, bytes_per_day=10_000, open_uploads=4)
    async with running_rig(stack, tmp_path, quota=quota) as rig:
        person = rig.person()
        results = await asyncio.gather(*(person.create(b"x" * 10) for _ in range(12)), return_exceptions=True)
        refused = [one for one in results if isinstance(one, HeliographError)]
        assert len(refused) == 8
        assert {one.reason for one in refused} == {"UPLOAD_QUOTA_EXCEEDED"}
        assert all(int(one.metadata["retry_after_ms"]) > 0 for one in refused)
        with fails_with("UPLOAD_QUOTA_EXCEEDED"):
            await rig.person().create(b"x", size_bytes=10_001)
        assert (await rig.person().create(b"x" * 10)).upload.status == PENDING
