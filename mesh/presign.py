"""Presigned GET addresses of an S3-compatible store (AWS Signature Version 4, in the query), by arithmetic alone.

The key that signs is derived once a day and kept, so an address costs two hashes: a page of a hundred photos with eight
variants each is signed in a few milliseconds.
"""

import hashlib
import hmac
from datetime import datetime
from urllib.parse import quote, urlsplit

from mesh.config import S3Config

MAX_SECONDS = 7 * 24 * 3600
"""The protocol's own limit."""

_ALGORITHM = "AWS4-HMAC-SHA256"


class Presigner:
    """Signs addresses with one access key."""

    def __init__(self, config: S3Config) -> None:
        self._endpoint = config.reached_by_apps
        self._host = urlsplit(self._endpoint).netloc
        self._access_key = config.access_key
        self._secret_key = config.secret_key
        self._region = config.region
        self._day = ""
        self._day_key = b""

    def get(self, bucket: str, key: str, *, signed_at: datetime, seconds: int, cache_control: str) -> str:
        """Return an address that reads the object from `signed_at` (rounded down to the second) for `seconds`.

        The answer bears `cache_control`, whatever the object's own header says.
        """
        if not 1 <= seconds <= MAX_SECONDS:
            raise ValueError(f"an address lives 1 to {MAX_SECONDS} seconds, not {seconds}")
        moment = signed_at.strftime("%Y%m%dT%H%M%SZ")
        scope = f"{moment[:8]}/{self._region}/s3/aws4_request"
        path = f"/{bucket}/{quote(key)}"
        query = (
            f"X-Amz-Algorithm={_ALGORITHM}"
            f"&X-Amz-Credential={quote(f'{self._access_key}/{scope}', safe='')}"
            f"&X-Amz-Date={moment}&X-Amz-Expires={seconds}&X-Amz-SignedHeaders=host"
            f"&response-cache-control={quote(cache_control, safe='')}"
        )
        request = f"GET\n{path}\n{query}\nhost:{self._host}\n\nhost\nUNSIGNED-PAYLOAD"
        to_sign = f"{_ALGORITHM}\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        signature = hmac.digest(self._key_of(moment[:8]), to_sign.encode(), "sha256").hex()
        return f"{self._endpoint}{path}?{query}&X-Amz-Signature={signature}"

    def _key_of(self, day: str) -> bytes:
        if day != self._day:
            key = f"AWS4{self._secret_key}".encode()
            for part in (day, self._region, "s3", "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._day, self._day_key = day, key
        return self._day_key
