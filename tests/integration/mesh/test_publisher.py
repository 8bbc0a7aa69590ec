"""Publishes that wait for their acknowledgement on one subscription."""

import asyncio

import nats.errors
import nats.js.errors
import pytest
from nats.js.api import StreamConfig

from devstack.faults import TcpProxy
from mesh import jetstream
from mesh.jetstream import MessagingUnavailable, Outgoing
from tests.fixtures.stack import eventually


@pytest.fixture
async def stream(nats_url_of):
    async with jetstream.connect(nats_url_of("feed_svc"), name="test") as connection:
        await connection.declare_stream(StreamConfig(name="LOG", subjects=["log.>"]))
        yield connection


async def test_what_is_published_together_is_stored_in_its_order(stream):
    stored = await stream.publish_all([Outgoing(f"log.{number % 3}", b"%d" % number) for number in range(500)])
    assert [one.sequence for one in stored] == list(range(1, 501))
    assert (await stream.get("LOG", 500)).payload == b"499"


async def test_a_run_is_stored_when_its_last_message_is_acknowledged(stream):
    await stream.publish_run([Outgoing("log.x", b"%d" % number) for number in range(500)])
    assert await stream.last_sequence("LOG") == 500
    assert (await stream.get("LOG", 1)).payload == b"0"
    await stream.publish_run([])


async def test_notices_go_with_a_run_and_are_stored_nowhere(stream, nats_url_of):
    heard = []
    async with jetstream.connect(nats_url_of("feed_svc"), name="other") as other:
        await other.hear("live.1", lambda notice: heard.append(notice.data))
        await stream.publish_run([Outgoing("log.x", b"stored")], [Outgoing("live.1", b"with")])
        await stream.publish_run([], [Outgoing("live.1", b"alone")])
        await eventually(lambda: heard == [b"with", b"alone"])
    assert await stream.last_sequence("LOG") == 1


async def test_a_run_that_no_stream_takes_is_an_error(stream):
    with pytest.raises(MessagingUnavailable):
        async with asyncio.timeout(2):
            await stream.publish_run([Outgoing("nobody.listens", b"x")] * 3)


async def test_each_of_many_that_publish_at_once_is_told_of_its_own(stream):
    async def publish(number):
        return number, await stream.publish("log.x", b"%d" % number, message_id=str(number // 2))

    told = await asyncio.gather(*(publish(number) for number in range(200)))
    places = {}
    for number, stored in told:
        places.setdefault(number // 2, []).append(stored)
    assert all(len({one.sequence for one in pair}) == 1 for pair in places.values())
    assert all(sorted(one.duplicate for one in pair) == [False, True] for pair in places.values())


async def test_a_subject_that_no_stream_takes_is_said_at_once(stream):
    with pytest.raises(MessagingUnavailable):
        async with asyncio.timeout(2):
            await stream.publish("nobody.listens", b"x")


async def test_what_the_stream_refuses_is_an_error_of_its_own(stream):
    with pytest.raises(nats.js.errors.APIError):
        await stream.publish("log.x", b"x", headers={"Nats-Expected-Last-Sequence": "77"})


async def test_a_lost_connection_fails_what_waits_before_its_time(nats_url_of, stream, stack):
    async with TcpProxy(stack.nats.address) as proxy:
        url = stack.nats.url("feed_svc", address=proxy.address)
        async with jetstream.connect(url, name="cut") as connection:
            await connection.publish("log.x", b"before")
            proxy.black_hole()
            waiting = asyncio.create_task(connection.publish("log.x", b"x", message_id="once"))
            await asyncio.sleep(0)
            proxy.heal()
            proxy.cut()
            with pytest.raises(MessagingUnavailable):
                async with asyncio.timeout(4):
                    await waiting

            async def works_again():
                try:
                    return (await connection.publish("log.x", b"x", message_id="once")).sequence
                except MessagingUnavailable:
                    return 0

            await eventually(works_again)
    assert await stream.last_sequence("LOG") == 2, "repeated with its id it is stored once"


async def test_headers_arrive_as_they_were_given(stream):
    await stream.publish_all([Outgoing("log.x", b"\r\nPUB log.x 0\r\n", {"Kind": "a: b", "Other": "b,c"})])
    stored = await stream.get("LOG", 1)
    assert (stored.payload, stored.headers) == (b"\r\nPUB log.x 0\r\n", {"Kind": "a: b", "Other": "b,c"})


@pytest.mark.parametrize(
    ("outgoing", "error"),
    [
        (Outgoing("log.x y", b""), nats.errors.BadSubjectError),
        (Outgoing("log.x\r\nPUB", b""), nats.errors.BadSubjectError),
        (Outgoing("log.x", b"", {"Kind": "a\r\nOther: b"}), nats.errors.BadHeaderError),
        (Outgoing("log.x", bytes(9_000_000)), nats.errors.MaxPayloadError),
    ],
)
async def test_what_would_break_the_protocol_is_not_sent(stream, outgoing, error):
    with pytest.raises(error):
        await stream.publish_all([Outgoing("log.x", b"first"), outgoing])
    assert await stream.last_sequence("LOG") == 0
    await stream.publish("log.x", b"still here")
