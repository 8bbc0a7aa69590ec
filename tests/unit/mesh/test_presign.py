from datetime import UTC, datetime, timedelta

import pytest
from minio import Minio

from mesh.config import S3Config
from mesh.presign import Presigner

CONFIG = S3Config("http://127.0.0.1:9000", "access/key", "secret", "us-east-1", None)
MOMENT = datetime(2026, 6, 1, 12, 30, 15, 900_000, UTC)


@pytest.mark.parametrize("key", ["ab/cd/1080.webp", "a b/\u00e9+~'.jpg"])
def test_an_address_is_the_one_that_the_sdk_makes(key: str):
    sdk = Minio(
        endpoint="127.0.0.1:9000", access_key="access/key", secret_key="secret", secure=False, region="us-east-1"
    )
    expected = sdk.presigned_get_object(
        "heliograph-private",
        key,
        expires=timedelta(seconds=240),
        response_headers={"response-cache-control": "private, no-store"},
        request_date=MOMENT,
    )
    ours = Presigner(CONFIG).get(
        "heliograph-private", key, signed_at=MOMENT, seconds=240, cache_control="private, no-store"
    )
    assert sorted(ours.split("?")[1].split("&")) == sorted(expected.split("?")[1].split("&"))
    assert ours.split("?")[0] == expected.split("?")[0]


def test_an_address_owes_nothing_to_the_one_before_it():
    asked = [
        {"signed_at": MOMENT, "seconds": 240, "cache_control": "private, no-store"},
        {"signed_at": MOMENT, "seconds": 60, "cache_control": "private, no-store"},
        {"signed_at": MOMENT, "seconds": 60, "cache_control": "no-store"},
        {"signed_at": MOMENT + timedelta(days=1), "seconds": 60, "cache_control": "no-store"},
        {"signed_at": MOMENT, "seconds": 240, "cache_control": "private, no-store"},
    ]
    one_after_the_other = Presigner(CONFIG)
    for words in asked:
        assert one_after_the_other.get("b", "k", **words) == Presigner(CONFIG).get("b", "k", **words)


@pytest.mark.parametrize("seconds", [0, -1, 8 * 24 * 3600])
def test_a_life_outside_the_protocol_s_limits_is_refused(seconds: int):
    with pytest.raises(ValueError, match="lives"):
        Presigner(CONFIG).get("b", "k", signed_at=MOMENT, seconds=seconds, cache_control="private")
