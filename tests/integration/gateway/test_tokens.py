"""Forged tokens of every kind are refused, over HTTP and WebSocket."""

import base64
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.integration.gateway.conftest import KEY, KEY_ID, Running, token

PUBLIC = KEY.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    all_claims = {"sub": "1", "aud": "heliograph", "iat": now, "exp": now + 600, **changes}
    return {name: value for name, value in all_claims.items() if value is not None}


def signed(payload: dict[str, Any], *, key: Any = KEY, kid: str | None = KEY_ID, **headers: Any) -> str:
    return jwt.encode(payload, key, algorithm="EdDSA", headers={**({"kid": kid} if kid else {}), **headers})


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def altered() -> str:
    head, _, signature = token(2).split(".")
    return f"{head}.{part(claims(sub='1'))}.{signature}"


FORGED = {
    "no signature": lambda: f"{part({'alg': 'none', 'kid': KEY_ID})}.{part(claims())}.",
    "HMAC with the public key": lambda: jwt.encode(claims(), PUBLIC, algorithm="HS256", headers={"kid": KEY_ID}),
    "another key": lambda: signed(claims(), key=Ed25519PrivateKey.generate()),
    "an unknown kid": lambda: signed(claims(), kid="other"),
    "no kid": lambda: signed(claims(), kid=None),
    "a key inside of the token": lambda: signed(
        claims(), key=Ed25519PrivateKey.generate(), kid=None, jwk={"kty": "OKP", "crv": "Ed25519", "x": "AA"}
    ),
    "a key elsewhere": lambda: signed(claims(), key=Ed25519PrivateKey.generate(), jku="https://evil.example/jwks"),
    "expired": lambda: signed(claims(exp=int(time.time()) - 60)),
    "without an end": lambda: signed(claims(exp=None)),
    "without a beginning": lambda: signed(claims(iat=None)),
    "for another audience": lambda: signed(claims(aud="other")),
    "without an audience": lambda: signed(claims(aud=None)),
    "without a subject": lambda: signed(claims(sub=None)),
    "a subject that is no user": lambda: signed(claims(sub="admin")),
    "a negative subject": lambda: signed(claims(sub="-1")),
    "other claims under a good signature": altered,
    "a good token cut short": lambda: token(1)[:-3],
}


@pytest.mark.parametrize("kind", FORGED)
async def test_a_forged_token_is_unauthenticated(running: Running, kind: str) -> None:
    forged = FORGED[kind]()
    headers = {"Authorization": f"Bearer {forged}"}
    async with running.http.post(running.url, json={"query": "{ viewer { id } }"}, headers=headers) as answer:
        assert answer.status == 401
        assert (await answer.json())["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    channel = await running.http.ws_connect(running.url, protocols=["graphql-transport-ws"])
    await channel.send_json({"type": "connection_init", "payload": {"authorization": f"Bearer {forged}"}})
    message = await channel.receive(timeout=5)
    assert (message.data, message.extra.split(":")[0]) == (4403, "UNAUTHENTICATED")
    assert running.world.calls == []


async def test_a_socket_is_closed_when_its_token_expires(running: Running) -> None:
    channel = await running.http.ws_connect(running.url, protocols=["graphql-transport-ws"])
    short = token(1, lifetime_seconds=2)
    await channel.send_json({"type": "connection_init", "payload": {"authorization": f"Bearer {short}"}})
    assert (await channel.receive_json(timeout=5))["type"] == "connection_ack"
    message = await channel.receive(timeout=5)
    assert (message.data, message.extra) == (4403, "UNAUTHENTICATED: the token has expired")
