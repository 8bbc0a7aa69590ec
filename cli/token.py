"""`heliograph token alice`: development tokens. In production the system of accounts signs them, and nobody here."""

from argparse import Namespace
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cli.commands import OK, Nouns
from cli.services import Services
from cli.settings import AUDIENCE
from mesh.auth import key_id_of, mint
from mesh.config import ConfigError

DAY_SECONDS = 24 * 3600


def add(nouns: Nouns) -> None:
    """Add `token`, which has no verbs."""
    summary = "print a development token of each person, for `Authorization: Bearer ...`"
    parser = nouns.add_parser("token", help=summary, description=summary)
    parser.add_argument("people", nargs="+", metavar="PERSON", help="username or number")
    parser.add_argument("--days", type=float, default=7.0, help="how long it is valid (default: 7)")
    parser.set_defaults(run=token)


async def token(services: Services, arguments: Namespace) -> int:
    """Print a token a line, in the order of the people, and nothing else."""
    settings = services.settings
    if settings.variables.get("HELIOGRAPH_ENV", "development") != "development":
        raise ConfigError("tokens are minted in development only; in production the system of accounts does it")
    key = _read(Path(settings.need("HELIOGRAPH_JWT_PRIVATE_KEY", "the path of the development key")))
    for user_id in await services.user_ids(arguments.people):
        signed = mint(
            private_key=key,
            key_id=key_id_of(key),
            user_id=user_id,
            audience=settings.variables.get("HELIOGRAPH_JWT_AUDIENCE", AUDIENCE),
            lifetime_seconds=int(arguments.days * DAY_SECONDS),
        )
        print(signed)
    return OK


def _read(file: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} can't be read as a private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{file} doesn't hold an Ed25519 key")
    return key
