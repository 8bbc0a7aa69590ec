"""A running media_svc on real servers, and people who upload to it."""

import asyncio
import io
import itertools
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from devstack.certificates import Authority
from devstack.keys import TokenKey, mint_token
from devstack.ports import HOST, PortBlock
from devstack.stack import Stack
from heliograph.media.v1 import (
    media_admin_service_pb2,
    media_admin_service_pb2_grpc,
    media_service_pb2,
    media_service_pb2_grpc,
    upload_pb2,
)
from media_svc import app
from media_svc.config import Config, QuotaConfig
from media_svc.events import Notices
from media_svc.store import Store
from media_svc.usecases.abort_upload import GiveUpUpload
from media_svc.usecases.process_upload import ProcessUpload
from media_svc.usecases.purge_media import PurgeMedia
from media_svc.usecases.sweep_uploads import SweepUploads
from mesh import auth, jetstream, objectstore, postgres
from mesh.auth import Viewer
from mesh.clock import SystemClock, to_ms
from mesh.config import PostgresConfig, ProcessConfig, TlsConfig, TokenConfig
from mesh.entry import SERVE, WORK
from mesh.grpc import client
from mesh.grpc.tls import Credentials
from mesh.jetstream import JetStream
from mesh.lifecycle import Process
from mesh.multipart import MultipartStore
from mesh.objectstore import ObjectStore
from mesh.outbox import Wakeup
from mesh.postgres import Postgres
from tests.fixtures.nats import fresh_jetstream
from tests.fixtures.postgres import fresh_database
from tests.fixtures.s3 import fresh_s3

POST, STORY = upload_pb2.UPLOAD_KIND_POST, upload_pb2.UPLOAD_KIND_STORY
PENDING = upload_pb2.UPLOAD_STATUS_PENDING
PROCESSING = upload_pb2.UPLOAD_STATUS_PROCESSING
READY = upload_pb2.UPLOAD_STATUS_READY
REJECTED = upload_pb2.UPLOAD_STATUS_REJECTED

_user_ids = itertools.count(7_000)


class ShiftedClock:
    """The machine's clock, moved by as much as a test says."""

    def __init__(self) -> None:
        self.shift = timedelta(0)

    def now(self) -> datetime:
        return SystemClock().now() + self.shift

    def now_ms(self) -> int:
        return to_ms(self.now())


@dataclass
class Person:
    """Somebody who uploads by way of a gateway."""

    rig: "Rig"
    user_id: int
    token: str

    async def call(self, method: str, *, by: str = "gateway", **fields: Any) -> Any:
        auth.set_viewer(Viewer(self.user_id, 2**40, self.token))
        request = getattr(media_service_pb2, f"{method}Request")(**fields)
        return await getattr(self.rig.stubs[by], method)(request)

    async def create(self, content: bytes = b"x" * 100, **fields: Any) -> Any:
        asked = {
            "kind": POST,
            "content_type": "image/jpeg",
            "size_bytes": len(content),
            "request_id": str(uuid.uuid4()),
        }
        return await self.call("CreateUpload", **{**asked, **fields})

    async def send(self, form: Any, content: bytes, **changed: str) -> int:
        """Post a form, with fields changed; return the store's status."""
        fields = {field.name: field.value for field in form.fields} | changed
        data = aiohttp.FormData()
        for name, value in fields.items():
            data.add_field(name, value)
        data.add_field(
            "file", io.BytesIO(content), filename="photo", content_type=fields.get("Content-Type", "image/jpeg")
        )
        async with self.rig.http.post(form.url, data=data) as response:
            await response.read()
            return response.status

    async def upload(self, content: bytes, **fields: Any) -> str:
        """Create, post, complete; return the upload's id."""
        created = await self.create(content, **fields)
        assert await self.send(created.form, content) in (200, 204)
        await self.call("CompleteUpload", upload_id=created.upload.upload_id)
        return created.upload.upload_id

    async def finished(self, upload_id: str, *, within: float = 60.0) -> Any:
        """Wait until an upload is READY or REJECTED, and return it."""
        async with asyncio.timeout(within):
            while True:
                found = (await self.call("GetUpload", upload_id=upload_id)).upload
                if found.status in (READY, REJECTED):
                    return found
                await asyncio.sleep(0.05)

    async def ready(self, content: bytes, **fields: Any) -> Any:
        """Upload a photo that must become READY."""
        found = await self.finished(await self.upload(content, **fields))
        assert found.status == READY, found
        return found

    async def attach(self, upload_id: str, reference: str = "post:1", **fields: Any) -> Any:
        asked = {"upload_id": upload_id, "purpose": POST, "reference": reference}
        return (await self.call("AttachUpload", by="feed_svc", **{**asked, **fields})).media


@dataclass
class Rig:
    """media_svc and what surrounds it."""

    stack: Stack
    config: Config
    clock: ShiftedClock
    database: Postgres
    store: Store
    objects: ObjectStore
    multipart: MultipartStore
    jetstream: JetStream
    http: aiohttp.ClientSession
    stubs: dict[str, media_service_pb2_grpc.MediaServiceStub]
    admin: media_admin_service_pb2_grpc.MediaAdminServiceStub
    private_key: Path

    def person(self) -> Person:
        user_id = next(_user_ids)
        return Person(self, user_id, mint_token(self.private_key, user_id))

    async def staff(self, method: str, **fields: Any) -> Any:
        """Call a method of MediaAdminService as the command line."""
        auth.set_viewer(None)
        request = getattr(media_admin_service_pb2, f"{method}Request")(**fields)
        return await getattr(self.admin, method)(request)

    async def reconcile(self, *, repair: bool = False, page_size: int = 0) -> list[Any]:
        """Return the findings of a whole run."""
        findings: list[Any] = []
        token = ""
        while True:
            page = await self.staff("ReconcileMedia", repair=repair, page_token=token, page_size=page_size)
            findings += page.findings
            token = page.next_page_token
            if not token:
                return findings


@pytest.fixture(scope="module")
async def rig(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """A media_svc in this process, in both roles."""
    async with running_rig(stack, tmp_path_factory.mktemp("media")) as running:
        yield running


@pytest.fixture
async def sweep(rig: Rig) -> AsyncIterator[SweepUploads]:
    """The sweep, to be run when a test says so; afterwards the clock is right again."""
    notices = Notices(rig.jetstream)
    purge = PurgeMedia(store=rig.store, objects=rig.objects, clock=rig.clock)
    yield SweepUploads(
        store=rig.store,
        give_up=GiveUpUpload(
            store=rig.store, objects=rig.objects, multipart=rig.multipart, notices=notices, clock=rig.clock
        ),
        process_upload=ProcessUpload(
            store=rig.store,
            objects=rig.objects,
            decoders=None,
            notices=notices,
            clock=rig.clock,  # only refuses
        ),
        purge_media=purge,
        wakeup=Wakeup(rig.jetstream, "media_svc"),
        clock=rig.clock,
    )
    rig.clock.shift = timedelta(0)


@asynccontextmanager
async def running_rig(
    stack: Stack, folder: Path, *, roles: frozenset[str] = frozenset({SERVE, WORK}), **settings: Any
) -> AsyncIterator[Rig]:
    """The same with other roles or settings."""
    async with AsyncExitStack() as exits:
        authority = Authority(folder / "tls")
        tokens = TokenKey(folder / "jwt")
        dsn = await exits.enter_async_context(fresh_database(stack, "mesh.outbox", "media_svc"))
        nats_url_of = await exits.enter_async_context(fresh_jetstream(stack))
        s3 = await exits.enter_async_context(fresh_s3(stack))
        certificate, key = authority.issue("media_svc")
        with_ports = PortBlock({})
        listen, metrics = (f"{HOST}:{with_ports.port(name)}" for name in ("serve", "metrics"))
        with_ports.close()
        config = Config(
            process=ProcessConfig("development", listen, metrics, 1, 1.0),
            tls=TlsConfig(authority.file, certificate, key),
            tokens=TokenConfig(tokens.jwks_file, "heliograph"),
            postgres=PostgresConfig(dsn, None, 10, 5.0),
            s3=s3,
            nats_url=nats_url_of("media_svc"),
            cursor_key="k" * 32,
            **{
                "quota": QuotaConfig(uploads_per_day=500, bytes_per_day=1 << 40, open_uploads=200),
                "decoders": 2,
                "sweep_seconds": 3600.0,
                "reconcile_seconds": 3600.0,
                **settings,
            },
        )
        clock = ShiftedClock()
        await _start(exits, config, roles, clock)
        channels = {
            name: await exits.enter_async_context(_channel(listen, authority, name))
            for name in ("gateway", "feed_svc", "story_svc", "cli")
        }
        database = await exits.enter_async_context(postgres.connect(config.postgres))
        objects = await exits.enter_async_context(objectstore.connect(s3))
        yield Rig(
            stack=stack,
            config=config,
            clock=clock,
            database=database,
            store=Store(database),
            objects=objects,
            multipart=MultipartStore(objects, s3),
            jetstream=await exits.enter_async_context(jetstream.connect(config.nats_url, name="test")),
            http=await exits.enter_async_context(aiohttp.ClientSession()),
            stubs={name: media_service_pb2_grpc.MediaServiceStub(channel) for name, channel in channels.items()},
            admin=media_admin_service_pb2_grpc.MediaAdminServiceStub(channels["cli"]),
            private_key=tokens.private_file,
        )


async def _start(exits: AsyncExitStack, config: Config, roles: frozenset[str], clock: ShiftedClock) -> None:
    inner = AsyncExitStack()
    process = Process(inner)

    async def stop() -> None:
        process.stop()
        await process.shut_down()
        await inner.aclose()

    exits.push_async_callback(stop)
    await app.start(process, config, roles, clock=clock)


def _key() -> str:
    return str(uuid.uuid4())


def _channel(address: str, authority: Authority, name: str) -> Any:
    certificate, key = authority.issue(name)
    return client.connect(
        address,
        server_name="media_svc",
        services=[
            media_service_pb2.DESCRIPTOR.services_by_name["MediaService"],
            media_admin_service_pb2.DESCRIPTOR.services_by_name["MediaAdminService"],
        ],
        credentials=Credentials(authority.file.read_bytes(), certificate.read_bytes(), key.read_bytes()),
        default_seconds=10.0,
    )
