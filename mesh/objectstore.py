"""An S3-compatible object store: the few calls that services need, none of them on the event loop.

Presigning is arithmetic and does not touch the network.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.datatypes import PostPolicy
from minio.deleteobjects import DeleteObject
from minio.error import S3Error

from mesh.config import S3Config
from mesh.errors import Unavailable

INCOMING = "heliograph-incoming"
"""Private: what people upload, unchecked."""
PHOTOS = "heliograph-photos"
"""Public and immutable: variants of post photos and avatars, under content-addressed keys."""
PRIVATE = "heliograph-private"
"""Private: variants of story and message photos, read through presigned URLs only."""

CALL_SECONDS = 10.0
CALLS_AT_ONCE = 16
"""Threads, and connections, of one process."""

T = TypeVar("T")


class ObjectStoreUnavailable(Unavailable):
    """The object store is away."""

    reason = "OBJECT_STORE_UNAVAILABLE"
    message = "photo storage does not answer right now; retry soon"


class ObjectMissing(Exception):
    """There is no object under this key."""


@dataclass(frozen=True, slots=True)
class Form:
    """A presigned POST form: send `fields`, then the file as the last field, named `file`."""

    url: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What the store knows of an object."""

    key: str
    size_bytes: int
    modified_time: datetime
    content_type: str


class ObjectStore:
    """One account of one store. Its calls run on threads of its own: a store that hangs holds up nobody else."""

    def __init__(self, client: Minio, threads: ThreadPoolExecutor, *, reached_by_apps: str) -> None:
        self._client = client
        self._threads = threads
        self._endpoint = reached_by_apps

    def presigned_form(self, bucket: str, key: str, *, content_type: str, max_bytes: int, expires_at: datetime) -> Form:
        """Return a form that stores exactly this key, of exactly this type, of 1 to `max_bytes` bytes, until
        `expires_at`.
        """
        policy = PostPolicy(bucket, expires_at)
        policy.add_equals_condition("key", key)
        policy.add_equals_condition("Content-Type", content_type)
        policy.add_content_length_range_condition(1, max_bytes)
        fields = {str(name): str(value) for name, value in self._client.presigned_post_policy(policy).items()}
        return Form(f"{self._endpoint}/{bucket}/", {"key": key, "Content-Type": content_type, **fields})

    async def put(
        self, bucket: str, key: str, content: bytes, *, content_type: str, cache_control: str | None = None
    ) -> None:
        """Store an object, replacing one of the same key."""
        headers = {"Cache-Control": cache_control} if cache_control else None
        await self.call(
            lambda: self._client.put_object(
                bucket,
                key,
                io.BytesIO(content),
                len(content),
                content_type=content_type,
                metadata=headers,  # type: ignore[arg-type]
            )
        )

    async def get(self, bucket: str, key: str) -> bytes:
        """Return an object's bytes; `ObjectMissing` when there is none."""

        def read() -> bytes:
            response = self._client.get_object(bucket, key)
            try:
                return bytes(response.read())
            finally:
                response.close()
                response.release_conn()

        return await self.call(read)

    async def stat(self, bucket: str, key: str) -> StoredObject:
        """Return an object's size, type and time; `ObjectMissing` when there is none."""
        found = await self.call(lambda: self._client.stat_object(bucket, key))
        return StoredObject(key, found.size or 0, found.last_modified, found.content_type or "")  # type: ignore[arg-type]

    async def remove(self, bucket: str, keys: list[str]) -> None:
        """Delete objects; those that are gone already are no error."""

        def delete() -> list[str]:
            failures = self._client.remove_objects(bucket, iter([DeleteObject(key) for key in keys]))
            return [str(failure.code) for failure in failures]

        if failures := await self.call(delete):
            raise ObjectStoreUnavailable(failures=len(failures))

    async def list(self, bucket: str, prefix: str = "", *, after: str = "", limit: int = 1000) -> list[StoredObject]:
        """Return up to `limit` objects whose keys start with `prefix`, in key order, beginning behind `after`."""

        def page() -> list[StoredObject]:
            found = []
            for entry in self._client.list_objects(bucket, prefix=prefix, recursive=True, start_after=after or None):
                found.append(StoredObject(str(entry.object_name), entry.size or 0, entry.last_modified, ""))
                if len(found) == limit:
                    break
            return found

        return await self.call(page)

    async def ping(self) -> None:
        """Raise `ObjectStoreUnavailable` unless the store answers."""
        await self.call(lambda: self._client.bucket_exists(PHOTOS))

    @property
    def client(self) -> Minio:
        """Return the (blocking) client of the library, for `call`."""
        return self._client

    async def call(self, call: Callable[[], T]) -> T:
        """Run a blocking call in a thread, with a deadline; what the store answers becomes an error of ours.

        A call that finds all threads busy waits for one, within its deadline.
        """

        def guarded() -> T:
            with _translated():
                return call()

        try:
            async with asyncio.timeout(CALL_SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._threads, guarded)
        except TimeoutError as error:
            raise ObjectStoreUnavailable from error


@asynccontextmanager
async def connect(config: S3Config) -> AsyncIterator[ObjectStore]:
    """Open a client with threads and a pool of connections of its own."""
    address = urlsplit(config.endpoint)
    pool = urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=2, read=CALL_SECONDS),
        maxsize=CALLS_AT_ONCE,
        retries=urllib3.Retry(total=1, backoff_factor=0.1),
    )
    client = Minio(
        endpoint=address.netloc,
        access_key=config.access_key,
        secret_key=config.secret_key,
        secure=address.scheme == "https",
        region=config.region,
        http_client=pool,
    )
    threads = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="object-store")
    try:
        yield ObjectStore(client, threads, reached_by_apps=config.reached_by_apps)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        pool.clear()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except S3Error as error:
        if error.code in ("NoSuchKey", "NoSuchObject", "NotFound"):
            raise ObjectMissing from error
        raise ObjectStoreUnavailable(code=str(error.code)) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise ObjectStoreUnavailable from error
