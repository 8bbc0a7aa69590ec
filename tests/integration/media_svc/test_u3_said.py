"""U3: every upload ends READY or REJECTED with a reason, wherever it was left."""

import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from heliograph.events.v1 import media_events_pb2
from heliograph.media.v1 import upload_pb2
from media_svc.domain import Refusal, Upload, UploadId
from media_svc.usecases.process_upload import ProcessUpload
from media_svc.usecases.sweep_uploads import SweepUploads
from media_svc.workers import MAX_ATTEMPTS, Workers
from mesh.consumer import DeadLetter, Outcome, Retry
from mesh.jetstream import Received
from mesh.objectstore import INCOMING, ObjectStoreUnavailable
from tests import pictures
from tests.fixtures.stack import eventually
from tests.integration.media_svc.conftest import PROCESSING, READY, REJECTED, Person, Rig


async def never_sent(person: Person) -> str:
    return (await person.create()).upload.upload_id


async def never_completed(person: Person) -> str:
    content = pictures.jpeg(seed=60)
    created = await person.create(content)
    await person.send(created.form, content)
    return created.upload.upload_id


async def parts_never_sent(person: Person) -> str:
    begun = await person.call(
        "CreateResumableUpload", kind=1, content_type="image/jpeg", size_bytes=6 << 20, request_id=str(uuid.uuid4())
    )
    return begun.upload.upload_id


async def event_lost(person: Person) -> str:
    upload_id = await never_completed(person)
    await _set_processing(person.rig, upload_id)
    return upload_id


async def original_lost(person: Person) -> str:
    upload_id = await event_lost(person)
    await person.rig.objects.remove(INCOMING, [f"incoming/{upload_id}"])
    return upload_id


async def no_picture(person: Person) -> str:
    return await person.upload(b"<html>")


async def picture(person: Person) -> str:
    return await person.upload(pictures.jpeg(seed=61))


WAYS: tuple[Callable[[Person], Awaitable[str]], ...] = (
    never_sent, never_completed, parts_never_sent, event_lost, original_lost, no_picture, picture,
)  # fmt: skip


async def unsaid(person: Person, upload_ids: list[str]) -> set[str]:
    """Return the uploads of which their owner can't tell how they ended."""
    found = [(await person.call("GetUpload", upload_id=upload_id)).upload for upload_id in upload_ids]
    return {one.upload_id for one in found if one.status != READY and not (one.status == REJECTED and reason_of(one))}


def reason_of(upload: upload_pb2.Upload) -> str:
    name = upload_pb2.UploadRejectedReason.Name(upload.rejected_reason)
    return name.removeprefix("UPLOAD_REJECTED_REASON_") if upload.rejected_detail else ""


async def test_U3_every_upload_ends_with_its_reason_wherever_it_was_left(rig: Rig, sweep: SweepUploads):
    person = rig.person()
    left = {way.__name__: await way(person) for way in WAYS}
    await person.finished(left["picture"])
    await person.attach(left["picture"])
    rig.clock.shift = timedelta(hours=1, minutes=5)
    await sweep()
    await person.finished(left["event_lost"])
    rig.clock.shift = timedelta(hours=25)
    await sweep()

    async def is_all_said() -> bool:
        return not await unsaid(person, list(left.values()))

    await eventually(is_all_said, within=20)
    found = {name: (await person.call("GetUpload", upload_id=upload_id)).upload for name, upload_id in left.items()}
    assert {name for name, upload in found.items() if upload.status == READY} == {"picture", "event_lost"}
    assert {name: reason_of(upload) for name, upload in found.items() if upload.status == REJECTED} == {
        "never_sent": "EXPIRED",
        "never_completed": "EXPIRED",
        "parts_never_sent": "EXPIRED",
        "original_lost": "PROCESSING_FAILED",
        "no_picture": "UNSUPPORTED_FORMAT",
    }


async def test_U3_sabotage_without_the_sweep_uploads_stay_unsaid(rig: Rig, sweep: SweepUploads):
    """The check above notices who never hears of their photo."""
    person = rig.person()
    left = {way.__name__: await way(person) for way in WAYS}
    await person.finished(left["picture"])
    await person.finished(left["no_picture"])
    rig.clock.shift = timedelta(hours=25)
    silent = {left[name] for name in left if name not in ("picture", "no_picture")}
    assert await unsaid(person, list(left.values())) == silent
    rig.clock.shift = timedelta(0)


class Failing:
    """Processing that always fails in one way; what it refuses is refused in earnest."""

    def __init__(self, rig: Rig, error: Exception) -> None:
        self._error = error
        self._real = ProcessUpload(
            store=rig.store, objects=rig.objects, decoders=None, notices=Quiet(), clock=rig.clock
        )

    async def __call__(self, upload_id: UploadId) -> None:
        raise self._error

    async def reject(self, upload: Upload, refusal: Refusal) -> None:
        await self._real.reject(upload, refusal)


class Quiet:
    async def status_changed(self, upload: Upload) -> None:
        """Nobody listens."""


async def handled(rig: Rig, upload_id: str, error: Exception, *, deliveries: int) -> Outcome:
    workers = Workers(
        jetstream=rig.jetstream,
        store=rig.store,
        process_upload=Failing(rig, error),
        purge_media=None,
        sweep_uploads=None,
        reconcile_media=None,
        decoders=1,
    )
    payload = media_events_pb2.UploadCompleted(upload_id=upload_id).SerializeToString()
    processing, _ = workers.consumers()
    return await processing.handle(Received("media.completed.x", payload, {}, 1, 1, deliveries))


async def test_U3_photo_that_breaks_the_worker_is_refused_in_the_end(rig: Rig):
    person = rig.person()
    upload_id = await event_lost(person)
    with pytest.raises(ValueError, match="broken"):
        await handled(rig, upload_id, ValueError("broken"), deliveries=MAX_ATTEMPTS - 1)
    assert (await person.call("GetUpload", upload_id=upload_id)).upload.status == PROCESSING
    outcome = await handled(rig, upload_id, ValueError("broken"), deliveries=MAX_ATTEMPTS)
    assert isinstance(outcome, DeadLetter)
    assert reason_of((await person.call("GetUpload", upload_id=upload_id)).upload) == "PROCESSING_FAILED"


async def test_store_that_is_away_is_not_the_photos_fault(rig: Rig):
    person = rig.person()
    upload_id = await event_lost(person)
    outcome = await handled(rig, upload_id, ObjectStoreUnavailable(), deliveries=100 * MAX_ATTEMPTS)
    assert isinstance(outcome, Retry)
    assert (await person.call("GetUpload", upload_id=upload_id)).upload.status == PROCESSING


async def _set_processing(rig: Rig, upload_id: str) -> None:
    async with rig.database.primary() as connection:
        await connection.execute(
            "UPDATE uploads SET status = 2, complete_time = %s WHERE upload_id = %s", (rig.clock.now(), upload_id)
        )
