"""`make demo`: holds on a sound system, and says so when it isn't."""

import asyncio
import os
import sys
from pathlib import Path

from PIL import Image

from devstack.folder import CHECKOUT
from devstack.stack import Stack


async def demo(system: Stack, *arguments: str, **variables: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "devstack.demo",
        "--folder",
        str(system.folder.path),
        *arguments,
        cwd=CHECKOUT,
        env={**os.environ, **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_the_demo_tells_its_story_to_the_end(system: Stack) -> None:
    status, told = await demo(system)
    assert status == 0, told
    assert "every one held" in told


async def test_the_demo_takes_photographs_of_a_folder(system: Stack, tmp_path: Path) -> None:
    for number in range(3):
        Image.effect_noise((900, 700 + number), 60).convert("RGB").save(tmp_path / f"noise{number}.jpg")
    status, told = await demo(system, PHOTOS=str(tmp_path))
    assert status == 0, told
    assert "noise2" in told


async def test_the_demo_fails_while_nothing_is_fanned_out(system: Stack) -> None:
    await system.hold("feed_svc.work")
    try:
        status, told = await demo(system)
    finally:
        system.release("feed_svc.work")
        await system.wait_ready("feed_svc.work")
    assert status == 1
    assert "The story ends here" in told


async def test_the_demo_says_what_is_wrong_with_a_folder_of_photographs(system: Stack, tmp_path: Path) -> None:
    for folder, sentence in ((tmp_path, "at least 3 are needed"), (tmp_path / "none", "is not a folder")):
        status, told = await demo(system, PHOTOS=str(folder))
        assert status == 2
        assert sentence in told
