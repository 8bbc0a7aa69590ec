"""What apps reach of the object store, and what browsers are told of it."""

import asyncio
import io
import os

import aiohttp
import pytest

from devstack.ports import HOST, PortBlock
from devstack.servers.binaries import script
from devstack.servers.s3 import CADDYFILE
from devstack.settings import INCOMING_BUCKET, PHOTOS_BUCKET, PRIVATE_BUCKET
from tests.fixtures.stack import eventually

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


@pytest.mark.parametrize("query", ["response-content-type=text/html", "response-cache-control=no-store", "acl", "x"])
async def test_U2_nobody_can_ask_for_a_photo_under_another_type(stack, http, photo, query):
    async with http.get(f"{stack.s3.front}/{PHOTOS_BUCKET}/{NAME}?{query}") as response:
        assert (response.status, await response.read()) == (200, b"abc")
        assert response.headers["Content-Type"] == "image/webp"
        assert response.headers["Cache-Control"] == IMMUTABLE


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
        ("GET", f"{PRIVATE_BUCKET}/"),
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


@pytest.mark.parametrize("query", ["", f"?X-Amz-Signature={'0' * 64}"])
async def test_U2_private_photo_is_refused_without_a_signature_or_with_a_wrong_one(stack, http, photo, query):
    async with http.get(f"{stack.s3.front}/{PRIVATE_BUCKET}/{NAME}{query}") as response:
        assert response.status in (400, 403)
        assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_web_apps_of_any_origin_may_read_and_send(stack, http, photo):
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "PUT"}
    address = f"{stack.s3.front}/{INCOMING_BUCKET}/incoming/x"
    async with http.options(address, headers=asked) as response:
        assert response.status == 200
        assert response.headers["Access-Control-Allow-Origin"] in ("*", asked["Origin"])


async def test_signed_address_stands_in_no_log_when_the_store_is_away(http):
    ports = PortBlock({})
    address = f"{HOST}:{ports.port('front')}"
    ports.close()
    environment = {"FRONT_HOST": HOST, "FRONT_PORT": address.partition(":")[2], "STORE": f"{HOST}:9", "HOME": "/tmp"}
    front = await asyncio.create_subprocess_exec(
        str(script("caddy")), "run", "--config", str(CADDYFILE), "--adapter", "caddyfile",
        env={**os.environ, **environment}, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:

        async def answers() -> bool:
            try:
                async with http.get(f"http://{address}/{PRIVATE_BUCKET}/{NAME}?X-Amz-Signature=secret") as response:
                    return response.status == 502
            except aiohttp.ClientConnectorError:
                return False

        await eventually(answers)
    finally:
        front.terminate()
    _, log = await front.communicate()
    assert NAME.encode() in log
    assert b"secret" not in log
