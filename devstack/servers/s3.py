"""S3, by SeaweedFS: three buckets, one fsync for each object, metadata in Postgres, repair after an unclean stop. Apps
reach it by way of a front, Caddy, on a port of its own.

Its master, volume and filer speak without authentication, so everything listens on the loopback only. Each of its ports
has a gRPC twin at +10,000.
"""

import asyncio
import json
import subprocess
from collections.abc import Sequence
from typing import ClassVar

import aiohttp
import urllib3
from minio import Minio
from minio.error import S3Error

from devstack.credentials import Credentials, sync_folder, write_secret
from devstack.folder import CHECKOUT, StateFolder
from devstack.ports import HOST, PortBlock, no_foreign_socket_file
from devstack.process import Spec
from devstack.servers.binaries import script
from devstack.servers.server import Server, environment
from devstack.settings import (
    BUCKETS,
    FRONT_MEMORY_LIMIT,
    PHOTOS_BUCKET,
    S3_FILER_CONF,
    S3_FLAGS,
    S3_MEMORY_LIMIT,
    S3_METADATA,
    public_read_policy,
    s3_filer_toml,
)

CADDYFILE = CHECKOUT / "deploy" / "front" / "Caddyfile"
PARTS = ("master", "volume", "filer", "admin", "s3")
"""What `weed mini` runs in one process. The admin part listens even with its pages off."""


class S3(Server):
    """The embedded object store."""

    name: ClassVar[str] = "s3"

    def __init__(
        self,
        folder: StateFolder,
        ports: PortBlock,
        credentials: Credentials,
        *,
        filer_conf: str = S3_FILER_CONF,
        metadata_address: str | None = None,
    ) -> None:
        """`metadata_address` is Postgres' host:port; without it the filer's metadata is not safe from a power cut.

        Another `filer_conf` is for experiments and sabotages.
        """
        self._folder = folder.path / "s3"
        self._log = folder.logs / "s3.log"
        self._ports = {
            part: ports.port("s3" if part == "s3" else f"s3.{part}", twin=True, usable=no_foreign_socket_file)
            for part in PARTS
        }
        self._credentials = credentials
        self._filer_conf = filer_conf
        self._metadata_address = metadata_address
        self._front_port = ports.port("s3.front")
        self._mark = self._folder / "running"
        """Exists from a start to a clean stop."""

    @property
    def address(self) -> str:
        """host:port of the S3 API."""
        return f"{HOST}:{self._ports['s3']}"

    @property
    def endpoint(self) -> str:
        """Address of the S3 API."""
        return f"http://{self.address}"

    @property
    def front(self) -> str:
        """Address at which apps reach it."""
        return f"http://{HOST}:{self._front_port}"

    def client(self) -> Minio:
        """A (blocking) client that gives up soon and doesn't retry."""
        return Minio(
            self.address,
            access_key=self._credentials.s3_access_key,
            secret_key=self._credentials.s3_secret_key,
            region="us-east-1",
            secure=False,
            http_client=urllib3.PoolManager(timeout=urllib3.Timeout(connect=1, read=5), retries=False),
        )

    def prepare(self) -> None:
        """Write the list of identities."""
        (self._folder / "data").mkdir(mode=0o700, parents=True, exist_ok=True)
        identity = {
            "name": "services",
            "credentials": [
                {"accessKey": self._credentials.s3_access_key, "secretKey": self._credentials.s3_secret_key}
            ],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        write_secret(self._folder / "s3.json", json.dumps({"identities": [identity]}))
        if self._metadata_address is not None:
            hostname, _, port = self._metadata_address.rpartition(":")
            password = self._credentials.password(S3_METADATA)
            toml = s3_filer_toml(hostname=hostname, port=int(port), password=password)
            write_secret(self._folder / "filer.toml", toml)

    def processes(self) -> Sequence[Spec]:
        """One process with all parts, and the front."""
        flags = {
            **S3_FLAGS,
            "dir": "data",
            "ip": HOST,
            "ip.bind": HOST,
            "s3.config": "s3.json",
            "s3.localSocket": "data/s3.sock",
            "filer.localSocket": "data/filer.sock",
            **{f"{part}.port": str(port) for part, port in self._ports.items()},
        }
        return [
            Spec(
                name=self.name,
                command=(
                    str(script("weed")),
                    "-logtostderr=true",
                    "mini",
                    *(f"-{name}={value}" for name, value in flags.items()),
                ),
                environment=environment(self._folder, GOMEMLIMIT=S3_MEMORY_LIMIT),
                folder=self._folder,
                log=self._log,
                ready=self._ready,
                stop_seconds=5,
                before_start=self._before_start,
                after_clean_stop=lambda: self._mark.unlink(missing_ok=True),
            ),
            Spec(
                name=f"{self.name}.front",
                command=(str(script("caddy")), "run", "--config", str(CADDYFILE), "--adapter", "caddyfile"),
                environment=environment(
                    self._folder,
                    GOMEMLIMIT=FRONT_MEMORY_LIMIT,
                    FRONT_HOST=HOST,
                    FRONT_PORT=str(self._front_port),
                    STORE=self.address,
                ),
                folder=self._folder,
                log=self._log.with_name("s3.front.log"),
                ready=self._front_ready,
                stop_seconds=5,
            ),
        ]

    async def set_up(self) -> None:
        """Tell the filer to sync, make the buckets, open the one of posts for reading."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session:
            address = f"http://{HOST}:{self._ports['filer']}/etc/seaweedfs/filer.conf"
            async with session.get(address) as response:
                current = await response.text() if response.status == 200 else ""
            if current != self._filer_conf:
                form = aiohttp.FormData()
                form.add_field("file", self._filer_conf, filename="filer.conf")
                async with session.post(address, data=form) as response:
                    response.raise_for_status()
        await asyncio.to_thread(self._make_buckets)

    def _make_buckets(self) -> None:
        client = self.client()
        existing = {bucket.name for bucket in client.list_buckets()}
        for bucket in BUCKETS:
            if bucket not in existing:
                client.make_bucket(bucket)
        wanted = public_read_policy(PHOTOS_BUCKET)
        try:
            current = client.get_bucket_policy(PHOTOS_BUCKET)
        except S3Error:  # there is none yet
            current = "{}"
        if json.loads(current) != json.loads(wanted):
            client.set_bucket_policy(PHOTOS_BUCKET, wanted)

    async def _ready(self) -> None:
        # The S3 side answers before there is a volume to write to, so ask the master for a place as well.
        address = f"http://{HOST}:{self._ports['master']}/dir/assign"
        timeout = aiohttp.ClientTimeout(2)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(address) as response:
            if "fid" not in await response.json(content_type=None):
                raise ConnectionError("no volume is writable yet")
        await asyncio.to_thread(self.client().list_buckets)

    async def _front_ready(self) -> None:
        timeout = aiohttp.ClientTimeout(2)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(self.front) as response:
            if response.status != 404:
                raise ConnectionError(f"the front answers {response.status}")

    def _before_start(self) -> None:
        # It writes its flags there and prefers them to those of the command line at the next start.
        (self._folder / "data" / "mini.options").unlink(missing_ok=True)
        if self._mark.exists():
            self._repair()
        self._mark.touch()
        sync_folder(self._folder)  # else a power cut would take the mark away

    def _repair(self) -> None:
        """Make the index of each volume anew from its data, which is synced object by object; the index is not."""
        for volume in sorted((self._folder / "data").glob("*.dat")):
            collection, _, number = volume.stem.rpartition("_")
            command = [str(script("weed")), "-logtostderr=true", "fix", f"-volumeId={number}"]
            command += [f"-collection={collection}"] if collection else []
            with self._log.open("ab") as log:
                subprocess.run(
                    [*command, str(self._folder / "data")],
                    env=environment(self._folder, GOMEMLIMIT=S3_MEMORY_LIMIT),
                    cwd=self._folder,
                    stdout=log,
                    stderr=log,
                    check=False,  # a volume that can't be repaired is told in the log; the others must be
                )
