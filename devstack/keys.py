"""The development key of people's tokens: a private file for minting, a JWKS of the public half for the services."""

import base64
import json
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from devstack.credentials import write_secret
from mesh.auth import key_id_of, mint

AUDIENCE = "heliograph"
TOKEN_SECONDS = 7 * 24 * 3600
"""Life of a development token."""


class TokenKey:
    """The signing key of one state folder."""

    def __init__(self, folder: Path) -> None:
        """Load the key of the folder, or make one."""
        folder.mkdir(mode=0o700, exist_ok=True)
        self.private_file = folder / "private.pem"
        self.jwks_file = folder / "jwks.json"
        if not self.private_file.exists():
            write_secret(
                self.private_file,
                Ed25519PrivateKey.generate().private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                ),
            )
        write_secret(self.jwks_file, json.dumps({"keys": [_jwk(_read(self.private_file))]}, indent=2))


def mint_token(private_file: Path, user_id: int, *, lifetime_seconds: int = TOKEN_SECONDS) -> str:
    """Return a token of a person, signed with the development key of a state folder."""
    key = _read(private_file)
    return mint(
        private_key=key,
        key_id=key_id_of(key),
        user_id=user_id,
        audience=AUDIENCE,
        lifetime_seconds=lifetime_seconds,
    )


def _jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    x = base64.urlsafe_b64encode(public).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": key_id_of(key), "x": x}


def _read(file: Path) -> Ed25519PrivateKey:
    key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError(f"{file} doesn't hold an Ed25519 key")
    return key
