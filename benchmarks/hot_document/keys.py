"""A key of this run, and a token signed with it."""

import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from benchmarks.hot_document.server import AUDIENCE
from mesh.auth import key_id_of, mint

LIFETIME_SECONDS = 3_600


def token_and_keys(keys: Path, *, user_id: int = 1) -> str:
    """Write a JWKS file and return a token for a person."""
    key = Ed25519PrivateKey.generate()
    public = json.loads(OKPAlgorithm.to_jwk(key.public_key()))
    keys.write_text(json.dumps({"keys": [{**public, "kid": key_id_of(key), "alg": "EdDSA"}]}))
    return mint(
        private_key=key, key_id=key_id_of(key), user_id=user_id, audience=AUDIENCE, lifetime_seconds=LIFETIME_SECONDS
    )
