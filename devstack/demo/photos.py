"""The photographs: scikit-image ships some that are free to use; `PHOTOS=folder` takes one's own."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devstack.trouble import ConfigurationTrouble

DEFAULT = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png", "hubble_deep_field.jpg")
"""Of scikit-image's data: an astronaut, a cat, a coffee cup, a rocket, a motorcycle, the sky."""
TYPES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
NEEDED = 3


@dataclass(frozen=True, slots=True)
class Photograph:
    """A file that somebody took."""

    name: str
    content: bytes
    content_type: str


def choose(folder: str | None) -> list[Photograph]:
    """The photographs of a folder, or the default set; at least three."""
    files = _of_folder(Path(folder)) if folder else _default()
    photographs = [Photograph(file.stem, file.read_bytes(), TYPES[file.suffix.lower()]) for file in files]
    if len(photographs) < NEEDED:
        raise ConfigurationTrouble(
            f"{folder} holds {len(photographs)} photographs ({', '.join(TYPES)}); at least {NEEDED} are needed."
        )
    return photographs


def _of_folder(folder: Path) -> Sequence[Path]:
    if not folder.is_dir():
        raise ConfigurationTrouble(f"PHOTOS={folder} is not a folder.")
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in TYPES and file.is_file())


def _default() -> Sequence[Path]:
    found = importlib.util.find_spec("skimage")
    if found is None or found.origin is None:
        raise ConfigurationTrouble(
            "scikit-image is not installed; name a folder of photographs: make demo PHOTOS=folder"
        )
    data = Path(found.origin).parent / "data"
    return [data / name for name in DEFAULT]
