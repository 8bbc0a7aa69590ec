from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from media_svc.domain import (
    ImageFormat,
    Picture,
    Quota,
    Upload,
    UploadKind,
    UploadMethod,
    Usage,
    UserId,
    Variant,
    check_upload,
    key_prefix_of,
    new_upload,
    parse_upload_id,
    upload_id_for,
)
from media_svc.errors import (
    ContentTypeNotAllowed,
    RequestIdInvalid,
    UploadEmpty,
    UploadNotFound,
    UploadQuotaExceeded,
    UploadTooLarge,
)

NOW = datetime(2026, 5, 1, tzinfo=UTC)
PICTURE = Picture((Variant("16.webp", 16, 16, ImageFormat.WEBP, 1, False),), "LEHV", "#ffffff", 16, 16)


def upload(size_bytes: int = 100, part_size_bytes: int = 0) -> Upload:
    return new_upload(
        upload_id=upload_id_for(UserId(1), "a"),
        owner_id=UserId(1),
        kind=UploadKind.POST,
        method=UploadMethod.FORM,
        content_type="image/jpeg",
        size_bytes=size_bytes,
        create_time=NOW,
        expire_time=NOW,
        part_size_bytes=part_size_bytes,
    )


def test_a_request_makes_one_upload_and_each_person_has_their_own():
    assert upload_id_for(UserId(1), "a") == upload_id_for(UserId(1), "a")
    assert upload_id_for(UserId(1), "a") != upload_id_for(UserId(2), "a")
    assert upload_id_for(UserId(1), "2:a") != upload_id_for(UserId(12), "a")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"content_type": "image/gif"}, ContentTypeNotAllowed),
        ({"content_type": "image/jpeg; charset=x"}, ContentTypeNotAllowed),
        ({"size_bytes": 0}, UploadEmpty),
        ({"size_bytes": -1}, UploadEmpty),
        ({"size_bytes": 11}, UploadTooLarge),
        ({"request_id": ""}, RequestIdInvalid),
        ({"request_id": "a b"}, RequestIdInvalid),
        ({"request_id": "x" * 65}, RequestIdInvalid),
        ({"request_id": "é"}, RequestIdInvalid),
    ],
)
def test_wishes_that_are_refused(changed, error):
    wish = {"content_type": "image/jpeg", "size_bytes": 10, "max_bytes": 10, "request_id": "k"}
    check_upload(**wish)
    with pytest.raises(error):
        check_upload(**{**wish, **changed})


@pytest.mark.parametrize("text", ["", "x", "../../etc/passwd", "1" * 33])
def test_what_cant_be_an_id_is_not_found(text):
    with pytest.raises(UploadNotFound):
        parse_upload_id(text)


def test_quota_says_when_to_come_back():
    quota = Quota(uploads_per_day=2, bytes_per_day=1000, open_uploads=5)
    usage = Usage(uploads=1, bytes=900, open_uploads=0, first_time=NOW - timedelta(hours=20))
    quota.check(usage, upload(100), now=NOW)
    with pytest.raises(UploadQuotaExceeded) as caught:
        quota.check(usage, upload(101), now=NOW)
    assert caught.value.metadata == {"limit": "1000", "retry_after_ms": str(4 * 3600 * 1000)}
    for busy in (replace(usage, uploads=2), replace(usage, open_uploads=5)):
        with pytest.raises(UploadQuotaExceeded):
            quota.check(busy, upload(1), now=NOW)


def test_parts_cover_the_file_and_the_last_holds_the_rest():
    cut = upload(size_bytes=12, part_size_bytes=5)
    assert [cut.part_bytes(number) for number in range(1, cut.part_count + 1)] == [5, 5, 2]


def test_place_is_made_of_the_content():
    assert key_prefix_of(PICTURE, [b"a"]) == key_prefix_of(PICTURE, [b"a"])
    assert key_prefix_of(PICTURE, [b"a"]) != key_prefix_of(PICTURE, [b"b"])
    assert key_prefix_of(PICTURE, [b"a"]) != key_prefix_of(replace(PICTURE, width=17), [b"a"])
    first, name, end = key_prefix_of(PICTURE, [b"a"]).split("/")
    assert (len(name), end) == (64, "")
    assert name.startswith(first)
