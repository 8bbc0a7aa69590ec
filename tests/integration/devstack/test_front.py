"""What apps reach of the object store, and what browsers are told of it."""

import io

import aiohttp
import pytest

from devstack.settings import INCOMING_BUCKET, PHOTOS_BUCKET, PRIVATE_BUCKET

NAME = f"ab/{'ab' * 32}/1080.webp"
IMMUTABLE = "public, max-age=31536000, immutable"


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def photo(stack, s3):
    for bucket in (PHOTOS_BUCKET, PRIVATE_BUCKET):
        stack.s3.client().put_object(
            bucket, NAME, io.BytesIO(b"abc"), 3, content_type="image/webp", metadata={"Cache-Control": IMMUTABLE}
        )


async def test_U2_photo_comes_with_its_type_for_ever_and_nobody_guesses(stack, http, photo):
    async with http.get(f"{stack.s3.front}/{PHOTOS_BUCKET}/{NAME}") as response:
        assert (response.status, await response.read()) == (200, b"abc")
        headers = response.headers
    assert headers["Content-Type"] == "image/webp"
    assert headers["Cache-Control"] == IMMUTABLE
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert headers["ETag"]
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert not {"Server", "Via", "Vary", "Set-Cookie"} & set(headers)
    seen = {"If-None-Match": headers["ETag"]}
    async with http.get(f"{stack.s3.front}/{PHOTOS_BUCKET}/{NAME}", headers=seen) as response:
        assert response.status == 304


async def test_photos_have_an_address_apart_from_the_api_and_the_store(stack, s3):
    assert stack.state.addresses["photos"] == f"{stack.s3.front}/{PHOTOS_BUCKET}"
    assert s3.reached_by_apps == stack.s3.front != s3.endpoint


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", f"{PHOTOS_BUCKET}/"),
        ("GET", f"{PHOTOS_BUCKET}?list-type=2"),
        ("GET", f"{PHOTOS_BUCKET}/{NAME}x"),
        ("GET", f"{PHOTOS_BUCKET}/evil.html"),
        ("GET", f"{PHOTOS_BUCKET}/%2e%2e/{PRIVATE_BUCKET}/{NAME}"),
        ("GET", f"{PRIVATE_BUCKET}/{NAME}"),
        ("GET", f"{INCOMING_BUCKET}/incoming/x"),
        ("PUT", f"{PHOTOS_BUCKET}/{NAME}"),
        ("PUT", f"{PHOTOS_BUCKET}/{NAME}?X-Amz-Signature=x"),
        ("POST", f"{PHOTOS_BUCKET}/"),
        ("DELETE", f"{PHOTOS_BUCKET}/{NAME}"),
        ("DELETE", f"{INCOMING_BUCKET}/incoming/x?X-Amz-Signature=x"),
    ],
)
async def test_U2_nothing_else_of_the_store_is_there(stack, http, photo, method, path):
    async with http.request(method, f"{stack.s3.front}/{path}", data=b"x" if method != "GET" else None) as response:
        assert response.status == 404
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert not await response.read()


async def test_signature_of_a_private_photo_is_the_stores_to_check(stack, http, photo):
    address = f"{stack.s3.front}/{PRIVATE_BUCKET}/{NAME}?X-Amz-Signature={'0' * 64}"
    async with http.get(address) as response:
        assert 400 <= response.status < 404
        assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_web_apps_of_any_origin_may_read_and_send(stack, http, photo):
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "PUT"}
    address = f"{stack.s3.front}/{INCOMING_BUCKET}/incoming/x"
    async with http.options(address, headers=asked) as response:
        assert response.status == 200
        assert response.headers["Access-Control-Allow-Origin"] in ("*", asked["Origin"])
