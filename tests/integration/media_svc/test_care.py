"""What keeps the store in order: sweeps, holds, purges, and rows and objects compared both ways."""

import uuid
from datetime import timedelta

import pytest

from heliograph.media.v1 import media_admin_service_pb2 as admin_pb2
from heliograph.media.v1 import upload_pb2
from media_svc.usecases.sweep_uploads import SweepUploads
from mesh.errors import HeliographError
from tests import pictures
from tests.fixtures.stack import eventually
from tests.integration.media_svc.conftest import READY, REJECTED, STORY, Rig

PHOTOS, PRIVATE, INCOMING = "heliograph-photos", "heliograph-private", "heliograph-incoming"
DAY = timedelta(hours=24)


def fails_with(reason: str):
    return pytest.raises(HeliographError, check=lambda error: error.reason == reason)


async def kinds(rig: Rig, *, repair: bool = False, page_size: int = 0) -> list[str]:
    found = await rig.reconcile(repair=repair, page_size=page_size)
    names = [admin_pb2.MediaFindingKind.Name(one.kind).removeprefix("MEDIA_FINDING_KIND_") for one in found]
    return sorted(names)


async def test_U3_abandoned_upload_is_refused_after_an_hour_and_not_before(rig: Rig, sweep: SweepUploads):
    person = rig.person()
    created = await person.create(pictures.jpeg())
    await person.send(created.form, pictures.jpeg())
    rig.clock.shift = timedelta(minutes=59)
    await sweep()
    assert (await person.call("GetUpload", upload_id=created.upload.upload_id)).upload.status != REJECTED
    rig.clock.shift = timedelta(minutes=61)
    await sweep()
    upload = (await person.call("GetUpload", upload_id=created.upload.upload_id)).upload
    assert upload.status == REJECTED
    assert upload.rejected_reason == upload_pb2.UPLOAD_REJECTED_REASON_EXPIRED
    assert not await rig.objects.list(INCOMING, f"incoming/{created.upload.upload_id}")


async def test_U3_upload_whose_event_was_lost_is_queued_again(rig: Rig, sweep: SweepUploads):
    person = rig.person()
    created = await person.create(pictures.jpeg(seed=5))
    await person.send(created.form, pictures.jpeg(seed=5))
    async with rig.database.primary() as connection:
        await connection.execute(
            "UPDATE uploads SET status = 2, complete_time = now() WHERE upload_id = %s", (created.upload.upload_id,)
        )
    await sweep()
    rig.clock.shift = timedelta(minutes=11)
    await sweep()
    assert (await person.finished(created.upload.upload_id)).status == READY


async def test_U3_upload_that_cant_be_processed_is_given_up_after_a_day(rig: Rig, sweep: SweepUploads):
    person = rig.person()
    created = await person.create(pictures.jpeg(seed=6))
    async with rig.database.primary() as connection:
        await connection.execute(
            "UPDATE uploads SET status = 2, complete_time = now() WHERE upload_id = %s", (created.upload.upload_id,)
        )
    rig.clock.shift = DAY + timedelta(minutes=1)
    await sweep()
    upload = (await person.call("GetUpload", upload_id=created.upload.upload_id)).upload
    assert upload.rejected_reason == upload_pb2.UPLOAD_REJECTED_REASON_PROCESSING_FAILED


async def test_photo_that_nothing_shows_is_removed_after_a_day(rig: Rig, sweep: SweepUploads):
    person = rig.person()
    kept, dropped = await person.ready(pictures.jpeg(seed=7)), await person.ready(pictures.jpeg(seed=8))
    place = (await person.attach(kept.upload_id)).key_prefix
    rig.clock.shift = DAY + timedelta(minutes=1)
    await sweep()
    with fails_with("UPLOAD_NOT_FOUND"):
        await person.attach(dropped.upload_id, "post:late")
    assert (await person.attach(kept.upload_id)).key_prefix == place


async def test_legal_hold_keeps_the_objects_until_it_is_lifted(rig: Rig, sweep: SweepUploads):
    person = rig.person()
    upload = await person.ready(pictures.jpeg(seed=9), kind=STORY)
    media = await person.attach(upload.upload_id, "story:9", purpose=STORY)
    with fails_with("LEGAL_HOLD_REASON_REQUIRED"):
        await rig.staff("SetMediaLegalHold", upload_id=upload.upload_id, is_held=True)
    held = await rig.staff("SetMediaLegalHold", upload_id=upload.upload_id, is_held=True, reason="case 12")
    assert held == await rig.staff("SetMediaLegalHold", upload_id=upload.upload_id, is_held=True, reason="again")
    with fails_with("LEGAL_HOLD"):
        await rig.staff("PurgeMedia", upload_id=upload.upload_id, reason="story ended")
    with fails_with("LEGAL_HOLD"):
        await person.call("DeleteMedia", by="story_svc", upload_id=upload.upload_id, reference="story:9")
    assert len(await rig.objects.list(PRIVATE, media.key_prefix)) == len(media.variants)
    await rig.staff("SetMediaLegalHold", upload_id=upload.upload_id, is_held=False, reason="case closed")
    purged = await rig.staff("PurgeMedia", upload_id=upload.upload_id, reason="story ended")
    assert purged.objects_removed == len(media.variants)
    assert not await rig.objects.list(PRIVATE, media.key_prefix)
    again = await rig.staff("PurgeMedia", upload_id=upload.upload_id, reason="story ended")
    assert (again.objects_removed, again.purge_time) == (0, purged.purge_time)


async def test_deleted_photo_whose_event_was_lost_is_purged_by_the_sweep(rig: Rig, sweep: SweepUploads):
    person = rig.person()
    upload = await person.ready(pictures.jpeg(seed=10))
    media = await person.attach(upload.upload_id)
    async with rig.database.primary() as connection:
        await connection.execute("UPDATE uploads SET delete_time = now() WHERE upload_id = %s", (upload.upload_id,))
    rig.clock.shift = timedelta(minutes=61)
    await sweep()
    assert not await rig.objects.list(PHOTOS, media.key_prefix)


async def test_rows_and_objects_agree_after_everything_above(rig: Rig):
    assert await kinds(rig) == []


@pytest.mark.parametrize("page_size", [0, 16, 24])
async def test_loss_is_told_and_never_repaired(rig: Rig, page_size: int):
    person = rig.person()
    upload = await person.ready(pictures.jpeg(seed=20 + page_size))
    media = await person.attach(upload.upload_id)
    key = media.key_prefix + media.variants[2].url
    content = await rig.objects.get(PHOTOS, key)
    await rig.objects.remove(PHOTOS, [key])
    found = await rig.reconcile(repair=True, page_size=page_size)
    assert [(one.kind, one.key, one.upload_id, one.is_repaired) for one in found] == [
        (admin_pb2.MEDIA_FINDING_KIND_ROW_WITHOUT_OBJECT, key, upload.upload_id, False)
    ]
    await rig.objects.put(PHOTOS, key, content, content_type="image/webp")
    assert await kinds(rig) == []


async def test_objects_without_row_are_removed_after_a_day_of_grace_and_only_if_asked(rig: Rig):
    place = f"{'ab'}/{'ab' * 32}/"
    await rig.objects.put(PHOTOS, f"{place}1080.webp", b"orphan", content_type="image/webp")
    await rig.objects.put(INCOMING, f"incoming/{uuid.uuid4()}", b"orphan", content_type="image/jpeg")
    assert await kinds(rig, repair=True) == []
    rig.clock.shift = DAY + timedelta(minutes=1)
    try:
        assert await kinds(rig) == ["OBJECT_WITHOUT_ROW"] * 2
        found = await rig.reconcile(repair=True)
        assert all(one.is_repaired for one in found)
        assert await kinds(rig) == []
    finally:
        rig.clock.shift = timedelta(0)
    assert not await rig.objects.list(PHOTOS, place)


async def test_leftover_of_a_deleted_photo_is_told_as_such(rig: Rig):
    person = rig.person()
    upload = await person.ready(pictures.jpeg(seed=30))
    media = await person.attach(upload.upload_id)
    await person.call("DeleteMedia", by="feed_svc", upload_id=upload.upload_id, reference="post:1")

    async def is_gone() -> bool:
        return not await rig.objects.list(PHOTOS, media.key_prefix)

    await eventually(is_gone)
    await rig.objects.put(PHOTOS, f"{media.key_prefix}{media.variants[0].url}", b"x", content_type="image/webp")
    assert await kinds(rig, repair=True) == ["DELETED_BUT_PRESENT"]
    assert await is_gone()


async def test_replayed_original_is_cleared_away(rig: Rig):
    person = rig.person()
    content = pictures.jpeg(seed=31)
    created = await person.create(content)
    await person.send(created.form, content)
    await person.call("CompleteUpload", upload_id=created.upload.upload_id)
    await person.finished(created.upload.upload_id)
    await person.attach(created.upload.upload_id)
    await person.send(created.form, content)
    rig.clock.shift = timedelta(minutes=61)
    try:
        assert await kinds(rig, repair=True) == ["ABANDONED_UPLOAD"]
    finally:
        rig.clock.shift = timedelta(0)
    assert await kinds(rig) == []


@pytest.mark.parametrize("has_row", [True, False], ids=["with_row", "without_row"])
async def test_parts_that_nobody_joins_are_thrown_away_after_a_day(rig: Rig, sweep: SweepUploads, has_row: bool):
    person = rig.person()
    begun = await person.call(
        "CreateResumableUpload", kind=1, content_type="image/jpeg", size_bytes=6 << 20, request_id=str(uuid.uuid4())
    )
    key = f"incoming/{begun.upload.upload_id}"
    if not has_row:
        key = f"incoming/{uuid.uuid4()}"
        await rig.multipart.begin(INCOMING, key, content_type="image/jpeg")
        await person.call("AbortUpload", upload_id=begun.upload.upload_id)

    async def is_left() -> bool:
        return key in {one.key for one in await rig.multipart.open(INCOMING, "incoming/")}

    async def found(*, repair: bool) -> list[int]:
        return [one.kind for one in await rig.reconcile(repair=repair) if one.key == key]

    rig.clock.shift = timedelta(hours=24, minutes=54)
    await sweep()
    assert await found(repair=True) == []
    assert await is_left()
    rig.clock.shift = timedelta(hours=27)
    if has_row:
        await sweep()
        upload = (await person.call("GetUpload", upload_id=begun.upload.upload_id)).upload
        assert upload.rejected_reason == upload_pb2.UPLOAD_REJECTED_REASON_EXPIRED
    else:
        assert await found(repair=False) == [admin_pb2.MEDIA_FINDING_KIND_ABANDONED_UPLOAD]
        assert await is_left()
        await rig.reconcile(repair=True)
    assert not await is_left()


async def test_attachments_are_listed_page_by_page_for_their_owners(rig: Rig):
    person = rig.person()
    references = [f"message:{number}" for number in range(5)]
    for reference in references:
        upload = await person.ready(pictures.jpeg(seed=32), kind=3)
        await person.attach(upload.upload_id, reference, purpose=3)
    with fails_with("PERMISSION_DENIED"):
        await rig.staff("ListAttachments", kind=3)
    found = await rig.store.list_attachments(
        3,
        attached_before=rig.clock.now(),
        after_time=rig.clock.now() - DAY,
        after_id=uuid.UUID(int=0),
        limit=100,
    )
    assert [one.reference for one in found] == references
