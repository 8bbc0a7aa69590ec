"""A child that was taken over must not get anything past the worker."""

import json
import struct

import pytest

from media_svc.domain import Refusal, RejectedReason
from media_svc.imaging.develop import develop, prepare
from media_svc.imaging.parcel import ParcelDamaged, pack, unpack
from tests import pictures

prepare()


def parcel_of(header: dict[str, object], body: bytes) -> bytes:
    encoded = json.dumps(header).encode()
    return struct.pack("<I", len(encoded)) + encoded + body


@pytest.fixture(scope="module")
def good() -> bytes:
    content = pictures.jpeg()
    return b"".join(pack(develop(content, declared="image/jpeg", max_bytes=len(content))))


def parts(parcel: bytes) -> tuple[dict[str, object], bytes]:
    (length,) = struct.unpack_from("<I", parcel)
    return json.loads(parcel[4 : 4 + length]), parcel[4 + length :]


def test_result_survives_the_way(good: bytes):
    content = pictures.jpeg()
    assert unpack(good) == develop(content, declared="image/jpeg", max_bytes=len(content))


def test_refusal_survives_the_way():
    refusal = Refusal(RejectedReason.CORRUPT, "jpeg_truncated")
    assert unpack(b"".join(pack(refusal))) == refusal


@pytest.mark.parametrize(
    "changed",
    [
        {"width": 0},
        {"width": 9_000_000},
        {"width": "640"},
        {"blurhash": "<script>"},
        {"blurhash": None},
        {"dominant_colour": "red"},
        {"lengths": []},
        {"lengths": [1, 2]},
        {"lengths": "many"},
    ],
)
def test_header_that_lies_is_refused(good: bytes, changed: dict[str, object]):
    header, body = parts(good)
    with pytest.raises(ParcelDamaged):
        unpack(parcel_of({**header, **changed}, body))


def test_content_that_is_no_picture_is_refused(good: bytes):
    header, body = parts(good)
    with pytest.raises(ParcelDamaged):
        unpack(parcel_of(header, b"<html>" + body[6:]))


@pytest.mark.parametrize(
    "parcel",
    [b"", b"\1", b"\xff\xff\xff\xff", b"\2\0\0\0{}", b"\2\0\0\0[]", parcel_of({"reason": 99, "detail": "x"}, b"")],
)
def test_rubbish_is_refused(parcel: bytes):
    with pytest.raises(ParcelDamaged):
        unpack(parcel)


def test_missing_end_is_refused(good: bytes):
    with pytest.raises(ParcelDamaged):
        unpack(good[:-1])
