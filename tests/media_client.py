"""A client of media_svc in a running stack, for chaos checks and benchmarks: uploads as an app does."""

import asyncio
import io
import itertools
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp

from devstack.certificates import Authority
from devstack.keys import mint_token
from devstack.stack import Stack
from heliograph.media.v1 import (
    media_admin_service_pb2_grpc,
    media_pb2,
    media_service_pb2,
    media_service_pb2_grpc,
    upload_pb2,
)
from media_svc.domain import ImageFormat, Picture, Variant, key_prefix_of
from mesh import auth
from mesh.auth import Viewer
from mesh.errors import HeliographError
from mesh.grpc import client
from mesh.grpc.tls import Credentials
from mesh.objectstore import ObjectMissing, ObjectStore, ObjectStoreUnavailable

FINAL = (upload_pb2.UPLOAD_STATUS_READY, upload_pb2.UPLOAD_STATUS_REJECTED)
UPLOADS_PER_PERSON = 100
"""Below every quota."""
WORTH_A_RETRY = {
    "UNAVAILABLE",
    "DATABASE_UNAVAILABLE",
    "MESSAGING_UNAVAILABLE",
    "OBJECT_STORE_UNAVAILABLE",
    "DEADLINE_EXCEEDED",
    "UPLOAD_BYTES_MISSING",
}
POLL_SECONDS = 0.02

_numbers = itertools.count()


class UploadRefused(Exception):
    """The photo was rejected."""


class MediaClient:
    """Uploads by form, as many people in turn."""

    def __init__(self, stack: Stack, http: aiohttp.ClientSession, stubs: dict[str, object], admin: object) -> None:
        self._stack = stack
        self._http = http
        self._stubs = stubs
        self.admin = admin

    async def upload(self, content: bytes, *, patience_seconds: float = 60.0) -> media_pb2.Media:
        """Upload a photo, wait until it is READY, attach it; every step is repeated until it is answered."""
        number = next(_numbers)
        self._speak(1_000_000 + number // UPLOADS_PER_PERSON)
        key = str(uuid.uuid4())
        async with asyncio.timeout(patience_seconds):
            while True:
                try:
                    return await self._upload(content, key)
                except (HeliographError, aiohttp.ClientError, ConnectionError) as error:
                    if isinstance(error, HeliographError) and error.reason not in WORTH_A_RETRY:
                        raise
                    await asyncio.sleep(0.1)

    async def _upload(self, content: bytes, key: str) -> media_pb2.Media:
        gateway = self._stubs["gateway"]
        created = await gateway.CreateUpload(
            media_service_pb2.CreateUploadRequest(
                kind=upload_pb2.UPLOAD_KIND_POST, content_type="image/jpeg", size_bytes=len(content), request_id=key
            )
        )
        upload = created.upload
        if created.HasField("form"):
            await self._post(created.form, content)
            request = media_service_pb2.CompleteUploadRequest(upload_id=upload.upload_id)
            upload = (await gateway.CompleteUpload(request)).upload
        while upload.status not in FINAL:
            await asyncio.sleep(POLL_SECONDS)
            upload = (await gateway.GetUpload(media_service_pb2.GetUploadRequest(upload_id=upload.upload_id))).upload
        if upload.status != upload_pb2.UPLOAD_STATUS_READY:
            raise UploadRefused(upload.rejected_detail)
        attached = await self._stubs["feed_svc"].AttachUpload(
            media_service_pb2.AttachUploadRequest(
                upload_id=upload.upload_id, purpose=upload_pb2.UPLOAD_KIND_POST, reference=f"post:{key}"
            )
        )
        return attached.media

    async def _post(self, form: upload_pb2.UploadForm, content: bytes) -> None:
        data = aiohttp.FormData()
        for field in form.fields:
            data.add_field(field.name, field.value)
        data.add_field("file", io.BytesIO(content), filename="photo.jpg", content_type="image/jpeg")
        async with self._http.post(form.url, data=data) as response:
            response.raise_for_status()

    def _speak(self, user_id: int) -> None:
        token = mint_token(Path(self._stack.state.jwt_private_key), user_id)
        auth.set_viewer(Viewer(user_id, int(time.time()) + 3600, token))


@asynccontextmanager
async def connected(stack: Stack) -> AsyncIterator[MediaClient]:
    """Connect to the stack's media_svc as the gateway, as feed_svc and as the command line."""
    authority = Authority(stack.folder.path / "tls")
    async with AsyncExitStack() as exits:
        channels = {}
        for name in ("gateway", "feed_svc", "cli"):
            certificate, key = authority.issue(name)
            channels[name] = await exits.enter_async_context(
                client.connect(
                    stack.state.addresses["media_svc"],
                    server_name="media_svc",
                    services=[media_service_pb2.DESCRIPTOR.services_by_name["MediaService"]],
                    credentials=Credentials(authority.file.read_bytes(), certificate.read_bytes(), key.read_bytes()),
                    default_seconds=10.0,
                )
            )
        timeout = aiohttp.ClientTimeout(20)
        http = await exits.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        stubs = {name: media_service_pb2_grpc.MediaServiceStub(channel) for name, channel in channels.items()}
        yield MediaClient(stack, http, stubs, media_admin_service_pb2_grpc.MediaAdminServiceStub(channels["cli"]))


async def is_whole(objects: ObjectStore, media: media_pb2.Media, *, patience_seconds: float = 30.0) -> bool:
    """Whether every variant is there with the very bytes that the photo's place was named after (SHA-256)."""
    variants = tuple(
        Variant(one.url, one.width, one.height, ImageFormat(one.format), one.size_bytes, one.is_square)
        for one in media.variants
    )
    picture = Picture(variants, media.blurhash, media.dominant_colour, media.width, media.height)
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            contents = [await objects.get(media.bucket, media.key_prefix + one.name) for one in variants]
        except ObjectMissing:
            return False
        except ObjectStoreUnavailable:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.5)
        else:
            return key_prefix_of(picture, contents) == media.key_prefix
