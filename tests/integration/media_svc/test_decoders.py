"""The children: what they can't do, and what happens when they or their zygote die."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from media_svc.domain import Developed, Refusal, RejectedReason
from media_svc.imaging import decoders
from media_svc.imaging.decoders import DecoderLost, Decoders
from tests import pictures
from tests.fixtures.stack import eventually


@pytest.fixture
async def running():
    async with decoders.start(2) as ours:
        await eventually(lambda: is_up(ours), within=20)
        yield ours


async def is_up(ours: Decoders) -> bool:
    try:
        result = await ours.develop(pictures.jpeg(64, 64), declared="image/jpeg", max_bytes=1 << 20)
    except DecoderLost:
        return False
    return isinstance(result, Developed)


def children_of(process: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def zygote() -> int:
    found = [
        one
        for task in Path("/proc/self/task").iterdir()
        for one in map(int, (task / "children").read_text().split())
        if b"zygote" in Path(f"/proc/{one}/cmdline").read_bytes()
    ]
    assert len(found) == 1
    return found[0]


async def test_zygote_holds_no_secret_and_no_rights(running: Decoders, monkeypatch: pytest.MonkeyPatch):
    process = Path(f"/proc/{zygote()}")
    status = (process / "status").read_text()
    assert "NoNewPrivs:\t1" in status
    if os.geteuid() == 0:
        assert "Uid:\t65534\t65534\t65534\t65534" in status
        assert "CapEff:\t0000000000000000" in status
    names = {entry.partition(b"=")[0] for entry in (process / "environ").read_bytes().split(b"\0") if entry}
    assert names <= {b"PATH", b"PYTHONPATH", b"MALLOC_ARENA_MAX", b"LC_CTYPE"}


async def test_zygote_that_is_killed_is_started_again(running: Decoders):
    os.kill(zygote(), signal.SIGKILL)
    await eventually(lambda: is_up(running), within=20)


async def test_child_that_is_killed_is_not_the_pictures_fault(running: Decoders):
    """The machine may kill a child for want of memory: the picture is tried again."""
    parent = zygote()
    working = asyncio.create_task(running.develop(pictures.endless_jpeg(), declared="image/jpeg", max_bytes=1 << 24))
    await eventually(lambda: bool(children_of(parent)), within=5)
    os.kill(children_of(parent)[0], signal.SIGKILL)
    with pytest.raises(DecoderLost):
        await working


async def test_U2_child_that_hangs_is_killed(running: Decoders, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decoders, "WALL_SECONDS", 1.0)
    parent = zygote()
    working = asyncio.create_task(running.develop(pictures.endless_jpeg(), declared="image/jpeg", max_bytes=1 << 24))
    await eventually(lambda: bool(children_of(parent)), within=5)
    os.kill(children_of(parent)[0], signal.SIGSTOP)
    assert await working == Refusal(RejectedReason.TIME_LIMIT, "decoding_took_too_long")
    await eventually(lambda: not children_of(parent), within=5)


async def test_worker_that_stops_waiting_leaves_no_child(running: Decoders):
    parent = zygote()
    working = asyncio.create_task(running.develop(pictures.endless_jpeg(), declared="image/jpeg", max_bytes=1 << 24))
    await eventually(lambda: bool(children_of(parent)), within=5)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    await eventually(lambda: not children_of(parent), within=5)


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("WEBP", "RGB", {"quality": 20, "method": 0}),
        ("WEBP", "RGB", {"lossless": True, "method": 1}),
        ("JPEG", "CMYK", {"progressive": True}),
        ("PNG", "RGB", {"compress_level": 1, "transparency": (1, 2, 3)}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
async def test_largest_picture_of_a_format_is_taken(
    running: Decoders, kind: str, mode: str, options: dict[str, object]
):
    content = pictures.encoded(pictures.slope(8000, 5000, mode), kind, **options)
    result = await running.develop(content, declared=f"image/{kind.lower()}", max_bytes=len(content))
    assert isinstance(result, Developed), result
    assert (result.picture.width, result.picture.height) == (8000, 5000)


async def test_U2_picture_that_needs_too_much_memory_is_refused(running: Decoders):
    """A film: of a still picture of this size and format there is memory enough."""
    result = await running.develop(pictures.huge_film(), declared="image/webp", max_bytes=1 << 24)
    assert result == Refusal(RejectedReason.MEMORY_LIMIT, "decoding_took_too_much_memory")
