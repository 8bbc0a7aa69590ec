"""The push service, called over HTTP.

    POST <HELIOGRAPH_DM_PUSH_WEBHOOK_URL>
    Content-Type: application/json
    Heliograph-Signature: t=<unix seconds>,v1=<HMAC-SHA256 of "<t>.<body>" in hexadecimal>

    {"userId": "42", "messages": [{"messageId": ..., "conversationId": ..., "senderId": ..., "useq": 7}]}

A receiver computes the signature with the shared secret, refuses what is older than five minutes, and drops what it
knows by `useq`: a notice may come again. 2xx: taken. 408, 425, 429, 5xx or no answer: told again later. Anything
else: set aside.
"""

import hashlib
import hmac
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
import orjson

from dm_svc.domain.values import NewMessage, UserId
from mesh.clock import Clock

SIGNATURE = "Heliograph-Signature"
CALL_SECONDS = 5.0
RETRYABLE = frozenset({408, 425, 429})


class WebhookFailed(Exception):
    """The push service did not take a notice."""

    def __init__(self, outcome: str, *, may_retry: bool) -> None:
        super().__init__(f"the push webhook answered {outcome}")
        self.may_retry = may_retry


class Webhook:
    """One push service."""

    def __init__(self, session: aiohttp.ClientSession, *, url: str, secret: str, clock: Clock) -> None:
        self._session = session
        self._url = url
        self._secret = secret
        self._clock = clock

    async def tell(self, user_id: UserId, messages: Sequence[NewMessage]) -> None:
        """Say that a person has new messages; `WebhookFailed` unless it was taken."""
        body = orjson.dumps(
            {
                "userId": str(user_id),
                "messages": [
                    {
                        "messageId": message.message_id,
                        "conversationId": message.conversation_id,
                        "senderId": str(message.sender_id),
                        "useq": message.useq,
                    }
                    for message in messages
                ],
            }
        )
        headers = {"Content-Type": "application/json", SIGNATURE: self._signature(body)}
        try:
            async with self._session.post(self._url, data=body, headers=headers) as answer:
                status = answer.status
        except (aiohttp.ClientError, TimeoutError) as error:
            raise WebhookFailed(type(error).__name__, may_retry=True) from error
        if not 200 <= status < 300:
            raise WebhookFailed(str(status), may_retry=status >= 500 or status in RETRYABLE)

    def _signature(self, body: bytes) -> str:
        seconds = self._clock.now_ms() // 1000
        return f"t={seconds},v1={sign(self._secret, seconds, body)}"


def sign(secret: str, seconds: int, body: bytes) -> str:
    """Return the signature of a body sent at a moment."""
    return hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()


@asynccontextmanager
async def connect(*, url: str, secret: str, clock: Clock) -> AsyncIterator[Webhook]:
    """Open a session that follows no redirects and keeps no cookies."""
    timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Webhook(session, url=url, secret=secret, clock=clock)
