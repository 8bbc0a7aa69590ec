"""A key of this run, and tokens signed with it."""

import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from benchmarks.hot_document.server import AUDIENCE
from mesh.auth import key_id_of, mint

LIFETIME_SECONDS = 3_600


class Keys:
    """A key pair; its public half is written to a JWKS file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._key = Ed25519PrivateKey.generate()
        public = json.loads(OKPAlgorithm.to_jwk(self._key.public_key()))
        file.write_text(json.dumps({"keys": [{**public, "kid": key_id_of(self._key), "alg": "EdDSA"}]}))

    def token(self, user_id: int = 1) -> str:
        """Return a token for a person."""
        return mint(
            private_key=self._key,
            key_id=key_id_of(self._key),
            user_id=user_id,
            audience=AUDIENCE,
            lifetime_seconds=LIFETIME_SECONDS,
        )
