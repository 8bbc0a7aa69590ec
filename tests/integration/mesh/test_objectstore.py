"""What a store that doesn't answer costs, and whom."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from mesh import objectstore
from mesh.config import S3Config
from mesh.objectstore import CALLS_AT_ONCE, PHOTOS, ObjectStore, ObjectStoreUnavailable


class SilentStore:
    """Takes every connection and says nothing, until it ends."""

    def __init__(self) -> None:
        self.connections = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await reader.read()
        writer.close()


@pytest.fixture
async def silent(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[SilentStore, ObjectStore]]:
    monkeypatch.setattr(objectstore, "CALL_SECONDS", 1.0)
    store = SilentStore()
    server = await asyncio.start_server(store.accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        objectstore.connect(S3Config(f"http://127.0.0.1:{port}", "key", "secret", "us-east-1", None)) as objects,
    ):
        yield store, objects


async def test_store_that_hangs_holds_up_nobody_else(silent):
    store, objects = silent
    calls = [asyncio.create_task(objects.get(PHOTOS, f"photo-{number}")) for number in range(3 * CALLS_AT_ONCE)]
    while store.connections < CALLS_AT_ONCE:
        await asyncio.sleep(0.01)
    assert await asyncio.wait_for(asyncio.to_thread(lambda: "done"), timeout=0.5) == "done"
    assert store.connections == CALLS_AT_ONCE
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(end) for end in ends} == {ObjectStoreUnavailable}
