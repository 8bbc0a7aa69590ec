"""Power cuts: file systems in image files, of which only what has reached the device is kept."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devstack.folder import temporary_folder

IMAGE_BYTES = 1536 * 1024**2


def can_cut_power() -> bool:
    """Whether file systems in image files can be mounted here."""
    if os.geteuid() != 0 or not shutil.which("mkfs.ext4") or not shutil.which("mount"):
        return False
    with temporary_folder("loop") as folder:
        image, disk = folder / "try.img", folder / "disk"
        disk.mkdir()
        try:
            make_file_system(image, size_bytes=16 * 1024**2)
            with mounted(image, disk):
                return True
        except subprocess.CalledProcessError:
            return False


def make_file_system(image: Path, *, size_bytes: int = IMAGE_BYTES) -> None:
    """Make an image file with an empty file system."""
    with image.open("wb") as file:
        file.truncate(size_bytes)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True, capture_output=True)


@contextmanager
def mounted(image: Path, disk: Path) -> Iterator[None]:
    """Have the file system of an image at a folder until the end of the block."""
    subprocess.run(["mount", "-o", "loop", str(image), str(disk)], check=True, capture_output=True)
    disk.chmod(0o755)
    try:
        yield
    finally:
        subprocess.run(["umount", str(disk)], check=True, capture_output=True)


def copy_sparse(image: Path, copy: Path) -> None:
    """Copy what has reached the device, holes left out."""
    subprocess.run(["cp", "--sparse=always", str(image), str(copy)], check=True)
