"""mesh.jetstream against a real server, also when the server or the connection goes away."""

import asyncio
import signal
from contextlib import asynccontextmanager

import pytest
from nats.js.api import StreamConfig

from devstack.faults import TcpProxy
from mesh import jetstream
from mesh.errors import RefusedToServe
from mesh.jetstream import MessagingUnavailable, StreamBehind, refuse_unless_syncing
from tests.fixtures.stack import eventually

STREAM = "LOG"


@pytest.fixture
async def nats(nats_url_of):
    async with jetstream.connect(nats_url_of("feed_svc"), name="test") as connection:
        await connection.declare_stream(StreamConfig(name=STREAM, subjects=["log.>"], allow_atomic=True))
        yield connection


@asynccontextmanager
async def reading(connection, *, after=0, subject=None):
    """What an ordered reader has yielded so far, while it runs."""
    seen = []

    async def read():
        async for batch in connection.read_in_order(STREAM, after=after, subject=subject):
            seen.extend(one.payload for one in batch)

    task = asyncio.create_task(read())
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def fill(connection, numbers, subject="log.a"):
    for number in numbers:
        await connection.publish(subject, b"%d" % number, message_id=f"{subject}.{number}")


async def test_an_id_is_stored_once_and_told_where(nats):
    first = await nats.publish("log.a", b"1", message_id="x")
    again = await nats.publish("log.a", b"2", message_id="x")
    assert (first.sequence, first.duplicate) == (1, False)
    assert (again.sequence, again.duplicate) == (1, True)
    assert (await nats.get(STREAM, 1)).payload == b"1"


async def test_a_stream_is_declared_again_with_another_configuration(nats):
    await nats.declare_stream(StreamConfig(name=STREAM, subjects=["log.>", "more.>"], allow_atomic=True))
    assert (await nats.publish("more.a", b"")).sequence == 1


async def test_a_batch_is_stored_together_or_not_at_all(nats):
    stored = await nats.publish_batch([("log.a", b"%d" % number, {}) for number in range(5)])
    assert stored.sequence == 5
    with pytest.raises(Exception, match="wrong last sequence"):
        await nats.publish_batch([("log.b", b"5", {}), ("log.a", b"6", {"Nats-Expected-Last-Subject-Sequence": "0"})])
    assert await nats.last_sequence(STREAM) == 5
    assert await nats.last_sequence(STREAM, subject="log.b") == 0


async def test_an_ordered_reader_yields_what_is_there_and_then_what_comes(nats):
    await fill(nats, range(700))
    async with reading(nats) as seen:
        await eventually(lambda: len(seen) == 700)
        await fill(nats, range(700, 720))
        await eventually(lambda: len(seen) == 720)
    assert seen == [b"%d" % number for number in range(720)]


async def test_an_ordered_reader_starts_after_a_position_and_keeps_to_a_subject(nats):
    await fill(nats, range(3))
    await fill(nats, range(3), subject="log.b")
    await fill(nats, range(3, 5))
    async with reading(nats, after=1, subject="log.a") as seen:
        await eventually(lambda: len(seen) == 4)
    assert seen == [b"1", b"2", b"3", b"4"]


async def test_an_ordered_reader_goes_on_after_its_connection_was_cut(nats, nats_url_of):
    address = nats_url_of("feed_svc").rpartition("@")
    async with TcpProxy(address[2]) as proxy:
        url = f"{address[0]}@{proxy.address}"
        async with jetstream.connect(url, name="cut") as shaky, reading(shaky) as seen:
            for start in range(0, 60, 20):
                await fill(nats, range(start, start + 20))
                await eventually(lambda start=start: len(seen) >= start + 10)
                proxy.cut()
            await eventually(lambda: len(seen) >= 60, within=20)
    assert seen == [b"%d" % number for number in range(60)]


async def test_an_ordered_reader_goes_on_after_the_server_was_killed(nats, stack):
    async with reading(nats) as seen:
        await fill(nats, range(10))
        await eventually(lambda: len(seen) == 10)
        stack.kill("nats", signal.SIGKILL)
        await stack.wait_ready("nats")
        await eventually(lambda: published(nats, 10), within=20)
        await eventually(lambda: len(seen) == 11, within=20)
    assert seen == [b"%d" % number for number in range(11)]


async def published(connection, number):
    try:
        await fill(connection, [number])
    except MessagingUnavailable:
        return False
    return True


async def test_a_stream_that_ends_before_the_position_is_never_read_on_in_silence(nats):
    await fill(nats, range(3))
    with pytest.raises(StreamBehind, match="ends at 3, but was read up to 7"):
        async for _ in nats.read_in_order(STREAM, after=7):
            pass


async def test_an_erased_message_is_gone_and_the_others_keep_their_places(nats):
    await fill(nats, range(3))
    await nats.erase(STREAM, 2)
    await nats.erase(STREAM, 2)
    assert await nats.get(STREAM, 2) is None
    assert (await nats.get(STREAM, 3)).payload == b"2"


async def test_the_first_message_of_a_stream_can_be_erased_again_too(nats):
    """The server answers otherwise for what lies before the first message it still has."""
    await fill(nats, range(2))
    for sequence in (1, 1, 2, 2, 1):
        await nats.erase(STREAM, sequence)
    assert await nats.get(STREAM, 1) is None
    with pytest.raises(MessagingUnavailable, match="EOF"):
        await nats.erase(STREAM, 3)


async def test_a_notice_reaches_whoever_listens_and_nobody_else_waits_for_it(nats, nats_url_of):
    heard = []
    async with jetstream.connect(nats_url_of("feed_svc"), name="other") as other:
        await other.hear("live.1", lambda notice: heard.append(notice.data))
        await nats.tell("live.1", b"now")
        await nats.tell("live.2", b"nobody")
        await eventually(lambda: heard == [b"now"])
    await nats.tell("live.1", b"too late")


async def test_whoever_listens_misses_nothing_that_is_told_from_then_on(nats, nats_url_of):
    heard = []
    async with jetstream.connect(nats_url_of("feed_svc"), name="other") as other:
        for number in range(200):
            await other.hear(f"live.{number}", lambda notice: heard.append(notice.data))
            await nats.tell(f"live.{number}", b"%d" % number)
        await eventually(lambda: len(heard) == 200)


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_listener_that_fails_hears_the_next_notice_all_the_same(is_async, nats):
    heard = []

    def hear(notice):
        heard.append(notice.data)
        if len(heard) == 1:
            raise ValueError("a listener's own fault")

    async def hear_async(notice):
        hear(notice)

    subscription = await nats.hear("live.2", hear_async if is_async else hear)
    for number in range(3):
        await nats.tell("live.2", b"%d" % number)
    await eventually(lambda: heard == [b"0", b"1", b"2"])
    await subscription.unsubscribe()
    await nats.tell("live.2", b"3")
    await nats.ping()
    assert len(heard) == 3


async def test_while_nats_is_away_a_publish_fails_at_once_and_is_not_sent_later(nats_url_of):
    address = nats_url_of("feed_svc").rpartition("@")
    async with (
        TcpProxy(address[2]) as proxy,
        jetstream.connect(f"{address[0]}@{proxy.address}", name="away") as connection,
    ):
        await connection.declare_stream(StreamConfig(name=STREAM, subjects=["log.>"]))
        proxy.refuse()
        await eventually(lambda: not connection._client.is_connected)
        async with asyncio.timeout(1):
            with pytest.raises(MessagingUnavailable):
                await connection.publish("log.a", b"lost")
        proxy.heal()
        await eventually(lambda: published(connection, 1))
        assert await connection.last_sequence(STREAM) == 1
        assert (await connection.get(STREAM, 1)).payload == b"1"


@pytest.mark.parametrize(
    "report", [{}, {"jetstream": {"config": {}}}, {"jetstream": {"config": {"sync_always": False}}}]
)
async def test_A3_a_server_that_does_not_say_that_it_syncs_is_refused(report):
    async def varz():
        return report

    with pytest.raises(RefusedToServe, match="sync_interval: always"):
        await refuse_unless_syncing(varz)
