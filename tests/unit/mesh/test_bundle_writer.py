"""How calls come together in bundles, and when a bundle is sent."""

import asyncio

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


async def settle() -> None:
    """Give what is ready its turns."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_calls_of_one_turn_share_a_bundle_and_a_lone_one_waits_for_nobody():
    stream = Stream()
    writer = BundleWriter(CarryRequest, stream.write)
    for number in range(3):
        writer.open(100).calls.add(number=number)
    await settle()
    writer.open(100).calls.add(number=3)
    await settle()
    assert stream.calls == [3, 1]


async def test_behind_one_with_company_a_bundle_waits_for_more():
    stream = Stream()
    writer = BundleWriter(CarryRequest, stream.write, linger_seconds=LINGER_SECONDS)
    for number in range(2):
        writer.open(100).calls.add(number=number)
    await settle()
    for number in range(2, 5):
        writer.open(100).calls.add(number=number)
        await settle()
    assert stream.calls == [2]
    await writer.flush()
    assert stream.calls == [2, 3]
    assert stream.moments[1] - stream.moments[0] >= LINGER_SECONDS


async def test_lone_calls_one_after_the_other_never_wait():
    stream = Stream()
    writer = BundleWriter(CarryRequest, stream.write, linger_seconds=LINGER_SECONDS)
    for number in range(4):
        writer.open(100).calls.add(number=number)
        await settle()
    assert stream.calls == [1, 1, 1, 1]


async def test_what_comes_long_after_company_waits_no_more():
    stream = Stream()
    writer = BundleWriter(CarryRequest, stream.write, linger_seconds=LINGER_SECONDS)
    for number in range(2):
        writer.open(100).calls.add(number=number)
    await settle()
    await asyncio.sleep(2 * LINGER_SECONDS)
    writer.open(100).calls.add(number=2)
    await settle()
    assert stream.calls == [2, 1]


async def test_what_needs_several_bundles_waits_for_nobody():
    stream = Stream()
    writer = BundleWriter(CarryRequest, stream.write, linger_seconds=LINGER_SECONDS)
    for number in range(2):
        writer.open(100).calls.add(number=number)
    await settle()
    for number in range(3):
        writer.open(BUNDLE_BYTES).calls.add(number=number)
    await settle()
    assert stream.calls == [2, 1, 1, 1]
