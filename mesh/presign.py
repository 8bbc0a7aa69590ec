"""Presigned GET addresses of an S3-compatible store (AWS Signature Version 4, in the query), by arithmetic alone.

The key that signs is derived once a day and kept, and so are the words that addresses of one moment share. So an
address costs two hashes: a page of a hundred photos with eight variants each is signed in a few milliseconds.
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
        self._given: tuple[datetime, int, str] | None = None
        self._moment = self._scope = self._query = ""

    def get(self, bucket: str, key: str, *, signed_at: datetime, seconds: int, cache_control: str) -> str:
        """Return an address that reads the object from `signed_at` (rounded down to the second) for `seconds`.

        The answer bears `cache_control`, whatever the object's own header says.
        """
        if not 1 <= seconds <= MAX_SECONDS:
            raise ValueError(f"an address lives 1 to {MAX_SECONDS} seconds, not {seconds}")
        self._word(signed_at, seconds, cache_control)
        path = f"/{bucket}/{quote(key)}"
        request = f"GET\n{path}\n{self._query}\nhost:{self._host}\n\nhost\nUNSIGNED-PAYLOAD"
        to_sign = f"{_ALGORITHM}\n{self._moment}\n{self._scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        signature = hmac.digest(self._day_key, to_sign.encode(), "sha256").hex()
        return f"{self._endpoint}{path}?{self._query}&X-Amz-Signature={signature}"

    def _word(self, signed_at: datetime, seconds: int, cache_control: str) -> None:
        """Set what does not depend on the object, unless it is set: most addresses have neighbours like them."""
        given = signed_at, seconds, cache_control
        if given == self._given:
            return
        self._moment = signed_at.strftime("%Y%m%dT%H%M%SZ")
        self._set_day(self._moment[:8])
        self._scope = f"{self._day}/{self._region}/s3/aws4_request"
        self._query = (
            f"X-Amz-Algorithm={_ALGORITHM}"
            f"&X-Amz-Credential={quote(f'{self._access_key}/{self._scope}', safe='')}"
            f"&X-Amz-Date={self._moment}&X-Amz-Expires={seconds}&X-Amz-SignedHeaders=host"
            f"&response-cache-control={quote(cache_control, safe='')}"
        )
        self._given = given

    def _set_day(self, day: str) -> None:
        if day != self._day:
            key = f"AWS4{self._secret_key}".encode()
            for part in (day, self._region, "s3", "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._day, self._day_key = day, key
