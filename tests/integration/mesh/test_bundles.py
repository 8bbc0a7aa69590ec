"""Calls in bundles over real connections: what they share, and that nobody suffers from those beside."""

import asyncio
from contextlib import AsyncExitStack

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from devstack.faults import TcpProxy
from mesh.errors import DeadlineExceeded, Internal, NotFound, ResourceExhausted, Unavailable
from mesh.grpc import bundles, lanes
from mesh.grpc.bundles import BUNDLE_BYTES
from mesh.grpc.lanes import Lane
from tests.fixtures.stack import eventually
from tests.integration.mesh.echo import NAME, echo

pytestmark = pytest.mark.parametrize("dial", ["bundled"], indirect=True)


@pytest.fixture
def sent(monkeypatch):
    """How many calls each bundle bore that was sent."""
    sizes = []
    write = Lane._write

    async def noted(lane, bundle):
        sizes.append(len(bundle.calls))
        await write(lane, bundle)

    monkeypatch.setattr(Lane, "_write", noted)
    return sizes


def lanes_of(stub):
    return stub.channel._lanes._lanes


async def two_lanes(stub):
    stub.channel._lanes.pick(0)
    await eventually(lambda: len(lanes_of(stub)) == 2, within=5)


async def test_calls_made_at_the_same_time_share_a_bundle_and_each_gets_its_own_answer(start, dial, sent):
    async with start(echo) as running, dial(running) as stub:
        texts = [str(number) for number in range(50)]
        replies = await asyncio.gather(*(stub.write(text) for text in texts))
    assert [reply.value for reply in replies] == texts
    assert sent == [50]


async def test_a_slow_call_holds_nobody_in_its_bundle(start, dial):
    free = asyncio.Event()

    async def handle(request, _context):
        if request.value == "slow":
            await free.wait()
        return request

    async with start(handle) as running, dial(running) as stub:
        slow = asyncio.ensure_future(stub.write("slow"))
        assert (await stub.write("quick")).value == "quick"
        assert not slow.done()
        free.set()
        assert (await slow).value == "slow"


async def test_one_error_is_the_error_of_one_call(start, dial, sent):
    async def handle(request, _context):
        if request.value == "bad":
            raise NotFound
        return request

    async with start(handle) as running, dial(running) as stub:
        good, bad = await asyncio.gather(stub.write("good"), stub.write("bad"), return_exceptions=True)
    assert good.value == "good"
    assert isinstance(bad, NotFound)
    assert sent == [2]


async def test_a_method_that_is_unknown_is_an_error_of_that_call_alone(start, dial):
    async with start(echo) as running, dial(running) as stub:
        unknown = stub.channel.unary_unary(f"/{NAME}/Unknown", StringValue.SerializeToString, StringValue.FromString)
        strange, good = await asyncio.gather(unknown(StringValue()), stub.write("good"), return_exceptions=True)
    assert isinstance(strange, Internal)
    assert good.value == "good"


async def test_a_long_request_travels_alone_and_a_long_reply_comes_whole(start, dial, sent):
    async def handle(request, _context):
        return StringValue(value="y" * int(request.value.lstrip("x")))

    async with start(handle) as running, dial(running) as stub:
        assert (await stub.write("x" * BUNDLE_BYTES + "1")).value == "y"
        assert sent == []
        assert len((await stub.write("5000000")).value) == 5_000_000
        with pytest.raises(ResourceExhausted):
            await stub.write(str(bundles.MAX_REPLY_BYTES))
        assert len((await stub.write("1000")).value) == 1_000
    assert sent == [1, 1, 1]


async def test_many_long_requests_are_parted_so_that_no_bundle_is_too_long(start, dial, sent):
    async with start(echo) as running, dial(running) as stub:
        texts = [str(number) * 100_000 for number in range(10)]
        replies = await asyncio.gather(*(stub.write(text) for text in texts))
    assert [reply.value for reply in replies] == texts
    assert sent == [2] * 5


@pytest.mark.parametrize("may_repeat", [True, False])
async def test_when_a_process_dies_what_may_be_repeated_is_asked_of_another(start, dial, may_repeat):
    begun = asyncio.Event()

    async def hang(_request, _context):
        begun.set()
        await asyncio.Event().wait()

    async with AsyncExitStack() as dying, start(echo) as living:
        dead = await dying.enter_async_context(start(hang))
        async with dial(f"ipv4:127.0.0.1:{dead.port},127.0.0.1:{living.port}") as stub:
            await two_lanes(stub)
            calls = []
            while not begun.is_set():
                calls.append(asyncio.ensure_future(stub.read("all") if may_repeat else stub.write("all")))
                await asyncio.sleep(0.01)
            await dying.aclose()
            answers = await asyncio.gather(*calls, return_exceptions=True)
            lost = [answer for answer in answers if isinstance(answer, Unavailable)]
            assert len(lost) == (0 if may_repeat else 1)
            assert all(answer.value == "all" for answer in answers if answer not in lost)
            assert (await stub.write("after")).value == "after"


async def test_no_call_fails_while_a_process_drains(start, dial):
    served = {"leaving": 0, "staying": 0}

    def counting(name):
        async def handle(request, _context):
            served[name] += 1
            await asyncio.sleep(0.005)
            return request

        return handle

    async with (
        start(counting("leaving")) as leaving,
        start(counting("staying")) as staying,
        dial(f"ipv4:127.0.0.1:{leaving.port},127.0.0.1:{staying.port}") as stub,
    ):
        await two_lanes(stub)
        is_over = asyncio.Event()

        async def caller():
            while not is_over.is_set():
                await stub.write("going on")

        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(caller())
            await eventually(lambda: min(served.values()) > 20, within=5)
            await leaving.drain(5.0)
            before = dict(served)
            await eventually(lambda: served["staying"] > before["staying"] + 20, within=5)
            is_over.set()
    assert served["leaving"] == before["leaving"]


@pytest.mark.parametrize("may_repeat", [True, False])
async def test_a_process_that_falls_silent_is_passed_over_until_it_is_heard_again(start, dial, may_repeat):
    served = {"frozen": 0, "lively": 0}

    def counting(name):
        async def handle(request, _context):
            served[name] += 1
            return request

        return handle

    async with (
        start(counting("frozen")) as frozen,
        start(counting("lively")) as lively,
        TcpProxy(f"127.0.0.1:{frozen.port}") as proxy,
        dial(f"ipv4:{proxy.address},127.0.0.1:{lively.port}", default_seconds=0.6) as stub,
    ):
        await two_lanes(stub)
        proxy.black_hole()
        failed = 0
        for _ in range(20):
            try:
                await (stub.read() if may_repeat else stub.write())
            except DeadlineExceeded:
                failed += 1
        assert failed == (0 if may_repeat else 1)
        assert served == {"frozen": 0, "lively": 20 - failed}
        proxy.heal()

        async def is_asked():
            await stub.read()
            return served["frozen"] > 1  # one is what it swallowed

        await eventually(is_asked, within=5)


async def test_a_process_that_came_back_gets_a_lane_again(start, dial):
    async with start(echo) as running:
        port = running.port
        async with dial(running) as stub:
            await running.drain(1.0)
            await eventually(lambda: not lanes_of(stub), within=5)
            async with start(echo, listen=f"127.0.0.1:{port}"):

                async def has_lane():
                    await asyncio.gather(stub.read("again"), return_exceptions=True)
                    return bool(lanes_of(stub))

                await eventually(has_lane, within=5)


async def test_a_process_that_knows_no_bundles_is_called_without(dial, credentials_of):
    plain = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(echo, StringValue.FromString, StringValue.SerializeToString)
    plain.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(NAME, {"Read": handler}),))
    port = plain.add_secure_port("127.0.0.1:0", credentials_of("feed_svc").server())
    await plain.start()
    try:
        async with dial(f"127.0.0.1:{port}") as stub:
            assert (await stub.read("plain")).value == "plain"
            assert not lanes_of(stub)
    finally:
        await plain.stop(None)


async def test_nobody_looks_for_processes_while_no_calls_are_made(start, dial, monkeypatch):
    monkeypatch.setattr(lanes, "LOOK_SECONDS", 0.01)
    async with start(echo) as running, dial(running) as stub:
        await stub.read()
        await eventually(lambda: stub.channel._lanes._keeper is None, within=5)
        await stub.read()
        assert stub.channel._lanes._keeper is not None
