"""mesh.auth: whose call it is, and which tokens say so."""

import asyncio
import json
import os
import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh import auth
from mesh.auth import TokenVerifier, Viewer, key_id_of, mint, set_viewer, viewer, viewer_id
from mesh.config import TokenConfig
from mesh.errors import RefusedToServe, Unauthenticated

KEY = Ed25519PrivateKey.generate()
OTHER_KEY = Ed25519PrivateKey.generate()
AUDIENCE = "heliograph"


def jwk(key: Ed25519PrivateKey, **changes: str) -> dict[str, str]:
    made = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key()))
    return {**made, "kid": key_id_of(key), **changes}


@pytest.fixture
def verifier(tmp_path: Path) -> TokenVerifier:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [jwk(KEY)]}))
    return TokenVerifier.from_config(TokenConfig(file, AUDIENCE))


def signed(key: object = KEY, *, algorithm: str = "EdDSA", kid: str | None = None, **changes: object) -> str:
    now = int(time.time())
    claims = {"sub": "42", "aud": AUDIENCE, "iat": now, "exp": now + 60, **changes}
    headers = {"kid": kid or key_id_of(KEY)}
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, key, algorithm=algorithm, headers=headers)


def test_a_minted_token_names_its_person(verifier: TokenVerifier) -> None:
    token = mint(private_key=KEY, key_id=key_id_of(KEY), user_id=42, audience=AUDIENCE, lifetime_seconds=60)
    found = verifier.verify(f"Bearer {token}")
    assert found.user_id == 42
    assert found.token == token
    assert token not in repr(found)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_may_be_written_in_any_case(verifier: TokenVerifier, scheme: str) -> None:
    assert verifier.verify(f"{scheme} {signed()}").user_id == 42


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Basic YTpi", "Bearer x", "Bearer a.b.c", "Bearer " + "a" * 5000],
)
def test_what_is_no_token_is_refused(verifier: TokenVerifier, authorization: str | None) -> None:
    with pytest.raises(Unauthenticated):
        verifier.verify(authorization)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": int(time.time()) - 1},
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"aud": None},
        {"aud": "elsewhere"},
        {"iat": int(time.time()) + 3600},
        {"nbf": int(time.time()) + 3600},
        {"sub": "0"},
        {"sub": "-5"},
        {"sub": "alice"},
        {"sub": ""},
    ],
    ids=str,
)
def test_a_token_with_a_wrong_or_missing_claim_is_refused(verifier: TokenVerifier, changes: dict[str, object]) -> None:
    with pytest.raises(Unauthenticated):
        verifier.verify(f"Bearer {signed(**changes)}")


def test_a_token_of_another_key_or_key_id_is_refused(verifier: TokenVerifier) -> None:
    for token in (signed(OTHER_KEY), signed(OTHER_KEY, kid=key_id_of(OTHER_KEY)), signed(kid="unknown")):
        with pytest.raises(Unauthenticated):
            verifier.verify(f"Bearer {token}")


def test_other_algorithms_are_refused_whatever_the_token_says(verifier: TokenVerifier) -> None:
    public = jwk(KEY)["x"].encode().ljust(32, b"=")
    for token in (
        signed(None, algorithm="none"),
        signed(public, algorithm="HS256"),
        signed(ec.generate_private_key(ec.SECP256R1()), algorithm="ES256"),
        signed(rsa.generate_private_key(65537, 2048), algorithm="RS256"),
    ):
        with pytest.raises(Unauthenticated):
            verifier.verify(f"Bearer {token}")


def test_a_changed_payload_is_refused(verifier: TokenVerifier) -> None:
    head, _, signature = signed().split(".")
    payload = signed(sub="43").split(".")[1]
    with pytest.raises(Unauthenticated):
        verifier.verify(f"Bearer {head}.{payload}.{signature}")


def test_a_remembered_token_still_expires(verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch) -> None:
    authorization = f"Bearer {signed()}"
    verifier.verify(authorization)
    later = time.time() + 61
    monkeypatch.setattr(auth.time, "time", lambda: later)
    with pytest.raises(Unauthenticated):
        verifier.verify(authorization)


def test_memory_of_tokens_is_bounded(verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "CACHED_TOKENS", 3)
    for user_id in range(1, 10):
        verifier.verify(f"Bearer {signed(sub=str(user_id))}")
    assert len(verifier._known) <= 3


@pytest.mark.parametrize("change", [{"kty": "RSA"}, {"crv": "X25519"}, {"kid": ""}])
def test_a_key_file_with_another_kind_of_key_is_refused(tmp_path: Path, change: dict[str, str]) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [jwk(KEY, **change)]}))
    with pytest.raises(RefusedToServe, match="not Ed25519 with a kid"):
        TokenVerifier.from_config(TokenConfig(file, AUDIENCE))


async def test_the_viewer_belongs_to_the_task_of_the_call() -> None:
    async def call(user_id: int | None) -> int | None:
        set_viewer(Viewer(user_id, 0, "t") if user_id else None)
        await asyncio.sleep(0)
        return viewer_id() if user_id else None

    assert await asyncio.gather(*(asyncio.create_task(call(one)) for one in (1, 2, None))) == [1, 2, None]
    with pytest.raises(Unauthenticated):
        viewer()


def test_a_key_that_is_withdrawn_takes_its_tokens_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "KEYS_LOOK_SECONDS", 0.0)
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [jwk(KEY), jwk(OTHER_KEY)]}))
    verifier = TokenVerifier.from_config(TokenConfig(file, AUDIENCE))
    old, new = signed(), signed(OTHER_KEY, kid=key_id_of(OTHER_KEY))
    assert verifier.verify(f"Bearer {old}").user_id == verifier.verify(f"Bearer {new}").user_id == 42
    before = verifier.keys_read
    file.write_text(json.dumps({"keys": [jwk(OTHER_KEY)]}))
    os.utime(file, (1, 1))
    assert verifier.keys_read == before + 1
    assert verifier.verify(f"Bearer {new}").user_id == 42
    with pytest.raises(Unauthenticated):
        verifier.verify(f"Bearer {old}")


@pytest.mark.parametrize("broken", ["", "{}", '{"keys": []}', '{"keys": [{"kty": "RSA"}]}'])
def test_a_key_file_that_becomes_unusable_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    monkeypatch.setattr(auth, "KEYS_LOOK_SECONDS", 0.0)
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [jwk(KEY)]}))
    verifier = TokenVerifier.from_config(TokenConfig(file, AUDIENCE))
    file.write_text(broken)
    os.utime(file, (1, 1))
    assert verifier.verify(f"Bearer {signed()}").user_id == 42
    file.unlink()
    assert verifier.verify(f"Bearer {signed()}").user_id == 42
