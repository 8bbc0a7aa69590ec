"""How calls come together in bundles, and when a bundle is sent."""

import asyncio

import pytest

from heliograph.mesh.v1.bundle_service_pb2 import CarryRequest
from mesh.grpc.bundles import BUNDLE_BYTES, BundleWriter

LINGER_SECONDS = 0.1


class Stream:
    """Takes bundles at once, and remembers how many calls each had, and when it came."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.moments: list[float] = []

    async def write(self, bundle: CarryRequest) -> None:
        self.calls.append(len(bundle.calls))
        self.moments.append(asyncio.get_running_loop().time())


async def call(writer: BundleWriter[CarryRequest], times: int, *, size: int = 100) -> None:
    """Make so many calls in one turn of the loop, and give what is ready then its turns."""
    for number in range(times):
        writer.open(size).calls.add(number=number)
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
async def lingering(stream: Stream) -> BundleWriter[CarryRequest]:
    return BundleWriter(CarryRequest, stream.write, linger_seconds=LINGER_SECONDS)


async def test_calls_of_one_turn_share_a_bundle_and_what_follows_waits_for_nobody(stream: Stream):
    writer = BundleWriter(CarryRequest, stream.write)
    for times in (3, 1, 2):
        await call(writer, times)
    assert stream.calls == [3, 1, 2]


async def test_behind_one_with_company_a_bundle_waits_for_more(stream: Stream, lingering: BundleWriter[CarryRequest]):
    await call(lingering, 2)
    for _ in range(3):
        await call(lingering, 1)
    assert stream.calls == [2]
    await lingering.flush()
    assert stream.calls == [2, 3]
    assert stream.moments[1] - stream.moments[0] >= LINGER_SECONDS


async def test_lone_calls_one_after_the_other_never_wait(stream: Stream, lingering: BundleWriter[CarryRequest]):
    for _ in range(4):
        await call(lingering, 1)
    assert stream.calls == [1, 1, 1, 1]


async def test_what_comes_long_after_company_waits_no_more(stream: Stream, lingering: BundleWriter[CarryRequest]):
    await call(lingering, 2)
    await asyncio.sleep(2 * LINGER_SECONDS)
    await call(lingering, 1)
    assert stream.calls == [2, 1]


async def test_what_needs_several_bundles_waits_for_nobody(stream: Stream, lingering: BundleWriter[CarryRequest]):
    await call(lingering, 2)
    await call(lingering, 3, size=BUNDLE_BYTES)
    assert stream.calls == [2, 1, 1, 1]
