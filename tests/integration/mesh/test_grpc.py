"""mesh.grpc over real connections with mutual TLS: what survives a hop, and what is refused.

Every test runs twice: with calls that travel alone, and with calls in bundles. Nothing may be different.
"""

import asyncio
import time

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mesh import auth, telemetry
from mesh.auth import Viewer, mint
from mesh.errors import (
    DeadlineExceeded,
    Internal,
    NotFound,
    Overloaded,
    PermissionDenied,
    RefusedToServe,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)
from mesh.grpc import calls, client
from tests.fixtures.stack import eventually
from tests.integration.mesh.echo import KEY, NAME, echo


def metric(method, code, caller="gateway"):
    return calls._handled.labels(f"/{NAME}/{method}", code, caller)._value.get()


async def test_a_call_arrives_with_caller_person_and_request_id(start, dial):
    seen = {}

    async def handle(request, _context):
        seen.update(caller=auth.caller.get(), viewer=auth.viewer_id(), request=telemetry.request_id.get())
        return request

    token = mint(private_key=KEY, key_id="test", user_id=42, audience="heliograph", lifetime_seconds=60)
    async with start(handle) as running, dial(running) as stub:
        auth.set_viewer(Viewer(42, 2**40, token))
        request = telemetry.adopt(None)
        try:
            assert (await stub.read("hello")).value == "hello"
        finally:
            auth.set_viewer(None)
    assert seen == {"caller": "gateway", "viewer": 42, "request": request}


async def test_a_call_without_a_person_has_none_and_a_forged_token_is_refused(start, dial):
    async def handle(_request, _context):
        auth.viewer()

    forged = mint(
        private_key=Ed25519PrivateKey.generate(), key_id="test", user_id=42, audience="heliograph", lifetime_seconds=60
    )
    async with start(handle) as running, dial(running) as stub:
        with pytest.raises(Unauthenticated):
            await stub.read()
        with pytest.raises(Unauthenticated):
            await stub.read(metadata=(("authorization", f"Bearer {forged}"), ("extra-bin", b"\xff\x00")))


async def test_a_service_that_is_not_on_the_list_is_refused(start, dial):
    async with start(echo) as running, dial(running, as_="dm_svc") as stub:
        with pytest.raises(PermissionDenied):
            await stub.read()


async def test_a_caller_without_a_certificate_does_not_get_in(start, credentials_of):
    bare = grpc.ssl_channel_credentials(root_certificates=credentials_of("gateway").ca)
    options = [("grpc.ssl_target_name_override", "feed_svc")]
    async with start(echo) as running, grpc.aio.secure_channel(f"127.0.0.1:{running.port}", bare, options) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(f"/{NAME}/Read")(b"", timeout=2)
        assert caught.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


async def test_a_server_that_is_another_service_is_not_trusted(start, dial):
    async with start(echo) as running, dial(running, server_name="dm_svc") as stub:
        with pytest.raises(Unavailable):
            await stub.write()


@pytest.mark.parametrize("wrap", [False, True], ids=["raised", "raised in a task group"])
async def test_an_error_of_the_tree_reaches_the_caller_as_itself(start, dial, wrap):
    class PostNotFound(NotFound):
        reason = "POST_NOT_FOUND"

    async def fail():
        raise PostNotFound("gone", post_id=7)

    async def handle(_request, _context):
        if not wrap:
            await fail()
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())

    async with start(handle) as running, dial(running) as stub:
        with pytest.raises(NotFound) as caught:
            await stub.read()
    assert (caught.value.reason, caught.value.message, caught.value.metadata) == (
        "POST_NOT_FOUND",
        "gone",
        {"post_id": "7"},
    )


async def test_a_fault_of_ours_is_opaque_and_bears_the_request_id(start, dial):
    async def handle(_request, _context):
        raise RuntimeError("canary-secret")

    async with start(handle) as running, dial(running) as stub:
        with pytest.raises(Internal) as caught:
            await stub.read()
    assert "canary" not in str(caught.value)
    assert len(caught.value.metadata["request_id"]) == 32


async def test_a_method_that_may_be_repeated_is_retried_and_the_other_is_not(start, dial):
    attempts = []

    async def handle(request, _context):
        attempts.append(request.value)
        if attempts.count(request.value) < 3:
            raise Unavailable
        return request

    async with start(handle) as running, dial(running) as stub:
        assert (await stub.read("read")).value == "read"
        with pytest.raises(Unavailable):
            await stub.write("write")
    assert attempts == ["read", "read", "read", "write"]


async def test_retries_stop_when_the_budget_is_spent(start, dial):
    attempts = 0

    async def handle(_request, _context):
        nonlocal attempts
        attempts += 1
        raise Unavailable

    async with start(handle) as running, dial(running) as stub:
        for _ in range(50):
            with pytest.raises(Unavailable):
                await stub.read()
    assert attempts < 80  # 200 without a budget


async def test_a_deadline_ends_the_call_on_both_sides_and_is_counted_as_such(start, dial):
    ended = asyncio.Event()

    async def handle(_request, _context):
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    before = metric("Read", "DEADLINE_EXCEEDED")
    async with start(handle) as running, dial(running, default_seconds=0.2) as stub:
        with pytest.raises(DeadlineExceeded):
            await stub.read()
        async with asyncio.timeout(2):
            await ended.wait()
        await eventually(lambda: metric("Read", "DEADLINE_EXCEEDED") == before + 1, within=2)


async def test_a_deadline_shrinks_on_the_way_down_and_a_spent_one_makes_no_call(start, dial):
    left = []

    async def handle(request, context):
        left.append(context.time_remaining())
        return request

    async with start(handle) as running, dial(running) as stub:
        token = calls.deadline.set(time.monotonic() + 0.5)
        try:
            await stub.read()
            calls.deadline.set(time.monotonic())
            with pytest.raises(DeadlineExceeded):
                await stub.read()
        finally:
            calls.deadline.reset(token)
    assert len(left) == 1
    assert left[0] <= 0.5 - client.HOP_SECONDS


async def test_a_caller_that_gives_up_cancels_the_work_it_asked_for(start, dial):
    begun, ended = asyncio.Event(), asyncio.Event()

    async def handle(_request, _context):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    before = metric("Read", "CANCELLED")
    async with start(handle) as running, dial(running) as stub:

        async def ask():
            return await stub.read()

        task = asyncio.create_task(ask())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(2):
            await ended.wait()
        await eventually(lambda: metric("Read", "CANCELLED") == before + 1, within=2)


async def test_A2_calls_past_the_limit_are_refused_at_once_and_places_come_back(start, dial):
    free = asyncio.Event()

    async def handle(request, _context):
        await free.wait()
        return request

    async with start(handle, max_in_flight=2) as running, dial(running) as stub:

        async def ask():
            return await stub.write()

        held = [asyncio.create_task(ask()) for _ in range(2)]
        await eventually(lambda: calls._in_flight._value.get() == 2, within=2)
        with pytest.raises(ResourceExhausted) as caught:
            await stub.write()
        assert (caught.value.reason, caught.value.metadata) == (Overloaded.reason, {"retry_after_ms": "500"})
        checked = await health_pb2_grpc.HealthStub(stub.channel).Check(health_pb2.HealthCheckRequest(), timeout=2)
        assert checked.status == health_pb2.HealthCheckResponse.SERVING  # busy is not dead
        free.set()
        await asyncio.gather(*held)
        await stub.write()
    assert calls._in_flight._value.get() == 0


async def test_calls_are_spread_over_all_addresses_of_a_name(start, dial):
    seen = {"a": 0, "b": 0}

    def counting(name):
        async def handle(request, _context):
            seen[name] += 1
            return request

        return handle

    async with (
        start(counting("a")) as a,
        start(counting("b")) as b,
        dial(f"ipv4:127.0.0.1:{a.port},127.0.0.1:{b.port}") as stub,
    ):

        async def both_seen():
            await stub.read()
            return min(seen.values()) > 0

        await eventually(both_seen, within=5)  # both connections stand
        seen.update(a=0, b=0)
        for _ in range(10):
            await stub.read()
    assert seen == {"a": 5, "b": 5}


async def test_a_server_that_was_away_is_found_again_within_seconds(start, dial):
    async with start(echo) as running:
        port = running.port
    async with dial(f"127.0.0.1:{port}") as stub:
        with pytest.raises(Unavailable):
            await stub.write()
        async with start(echo, listen=f"127.0.0.1:{port}"):

            async def answers():
                try:
                    await stub.write()
                except Unavailable:
                    return False
                return True

            await eventually(answers, within=4)


async def test_a_drain_says_not_serving_and_lets_calls_in_flight_finish(start, dial):
    begun, free = asyncio.Event(), asyncio.Event()

    async def handle(request, _context):
        begun.set()
        await free.wait()
        return request

    async with start(handle) as running, dial(running) as stub:

        async def ask():
            return await stub.write("last")

        held = asyncio.create_task(ask())
        await begun.wait()
        watch = health_pb2_grpc.HealthStub(stub.channel).Watch(health_pb2.HealthCheckRequest(), timeout=5)
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        drain = asyncio.create_task(running.drain(1.0))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()
        free.set()
        assert (await held).value == "last"
        await drain


async def test_a_port_in_use_is_refused_in_a_sentence(start):
    async with start(echo) as running:
        with pytest.raises(RefusedToServe, match="HELIOGRAPH_LISTEN"):
            async with start(echo, listen=f"127.0.0.1:{running.port}"):
                pass
