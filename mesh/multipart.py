"""Objects that arrive in numbered parts, each by a presigned PUT.

An address binds the part's number, size and SHA-256 (signed headers), so the store refuses every other body: a part
that is there is the one that was declared.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar
from urllib.parse import quote, urlsplit

from minio.datatypes import Part
from minio.error import S3Error

from mesh.config import S3Config
from mesh.objectstore import ObjectStore

T = TypeVar("T")
_ALGORITHM = "AWS4-HMAC-SHA256"


class MultipartMissing(Exception):
    """There is no such collection of parts: it was completed or aborted."""


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part that the store holds."""

    number: int
    size_bytes: int
    etag: str


@dataclass(frozen=True, slots=True)
class SignedPut:
    """Where to put a part, and the headers that must go with it."""

    url: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class OpenMultipart:
    """A collection of parts that was neither completed nor aborted."""

    key: str
    multipart_id: str
    start_time: datetime


class MultipartStore:
    """The part-wise side of an object store."""

    def __init__(self, objects: ObjectStore, config: S3Config) -> None:
        self._objects = objects
        self._config = config
        self._endpoint = config.reached_by_apps

    def sign_part(
        self,
        bucket: str,
        key: str,
        multipart_id: str,
        *,
        number: int,
        size_bytes: int,
        sha256: bytes,
        now: datetime,
        lifetime: timedelta,
    ) -> SignedPut:
        """Return where to put exactly this part, from `now` on."""
        headers = {
            "content-length": str(size_bytes),
            "x-amz-checksum-sha256": base64.b64encode(sha256).decode(),
        }
        signed = {"host": urlsplit(self._endpoint).netloc, **headers}
        moment = now.strftime("%Y%m%dT%H%M%SZ")
        scope = f"{moment[:8]}/{self._config.region}/s3/aws4_request"
        names = ";".join(sorted(signed))
        query = _query(
            {
                "X-Amz-Algorithm": _ALGORITHM,
                "X-Amz-Credential": f"{self._config.access_key}/{scope}",
                "X-Amz-Date": moment,
                "X-Amz-Expires": str(int(lifetime.total_seconds())),
                "X-Amz-SignedHeaders": names,
                "partNumber": str(number),
                "uploadId": multipart_id,
            }
        )
        path = f"/{bucket}/{quote(key)}"
        lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
        request = f"PUT\n{path}\n{query}\n{lines}\n{names}\nUNSIGNED-PAYLOAD"
        to_sign = f"{_ALGORITHM}\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        signature = hmac.digest(self._key_of(moment[:8]), to_sign.encode(), "sha256").hex()
        return SignedPut(f"{self._endpoint}{path}?{query}&X-Amz-Signature={signature}", headers)

    async def begin(self, bucket: str, key: str, *, content_type: str) -> str:
        """Open a collection of parts and return its name."""
        client = self._objects.client
        return await self._call(
            lambda: str(client._create_multipart_upload(bucket, key, {"Content-Type": content_type}))
        )

    async def parts(self, bucket: str, key: str, multipart_id: str) -> list[StoredPart]:
        """Return the parts that have arrived, by number; `MultipartMissing` when there is no such collection."""
        client = self._objects.client
        found = await self._call(lambda: client._list_parts(bucket, key, multipart_id, max_parts=1000).parts)
        return [StoredPart(part.part_number, part.size or 0, part.etag) for part in found]

    async def complete(self, bucket: str, key: str, multipart_id: str, parts: list[StoredPart]) -> None:
        """Make one object of the parts; `MultipartMissing` when there is no such collection."""
        client = self._objects.client
        chosen = [Part(part.number, part.etag) for part in parts]
        await self._call(lambda: client._complete_multipart_upload(bucket, key, multipart_id, chosen))

    async def abort(self, bucket: str, key: str, multipart_id: str) -> None:
        """Throw the parts away; one that is gone already is no error."""
        client = self._objects.client
        try:
            await self._call(lambda: client._abort_multipart_upload(bucket, key, multipart_id))
        except MultipartMissing:
            return

    async def open(self, bucket: str, prefix: str, *, limit: int = 1000) -> list[OpenMultipart]:
        """Return collections that were neither completed nor aborted, at most `limit`."""
        client = self._objects.client
        found = await self._call(
            lambda: client._list_multipart_uploads(bucket, prefix=prefix, max_uploads=limit).uploads
        )
        return [
            OpenMultipart(str(one.object_name), str(one.upload_id), one.initiated_time)
            for one in found
            if one.initiated_time is not None
        ]

    async def _call(self, call: Callable[[], T]) -> T:
        def guarded() -> T:
            try:
                return call()
            except S3Error as error:
                if error.code == "NoSuchUpload":
                    raise MultipartMissing from error
                raise

        return await self._objects.call(guarded)

    def _key_of(self, day: str) -> bytes:
        key = f"AWS4{self._config.secret_key}".encode()
        for part in (day, self._config.region, "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        return key


def _query(parameters: dict[str, str]) -> str:
    return "&".join(f"{quote(name, safe='')}={quote(parameters[name], safe='')}" for name in sorted(parameters))
