"""mesh.consumer: every message has an outcome, whatever its handler and its process do."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from nats.js.api import StreamConfig
from nats.js.errors import NotFoundError

from mesh import consumer, jetstream
from mesh.consumer import DEAD_LETTERS, Consumer, DeadLetter, Done, Retry, pause_after
from tests.fixtures.stack import eventually

STREAM = "WORK"


@pytest.fixture
async def nats(nats_url_of):
    async with jetstream.connect(nats_url_of("feed_svc"), name="test") as connection:
        await connection.declare_stream(StreamConfig(name=STREAM, subjects=["work.>"]))
        yield connection


@asynccontextmanager
async def consuming(nats, handle, **options):
    running = asyncio.create_task(Consumer(nats, STREAM, "worker", handle, **options).run())
    try:
        yield running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def settled(nats):
    """Whether the consumer is there and owes nobody a message."""
    try:
        info = await nats.context.consumer_info(STREAM, "worker")
    except NotFoundError:
        return False
    return info.num_pending + info.num_ack_pending == 0


async def dead(nats):
    count = await nats.last_sequence(DEAD_LETTERS.name)
    return [await nats.get(DEAD_LETTERS.name, sequence) for sequence in range(1, count + 1)]


async def test_what_is_done_is_never_delivered_again(nats):
    seen = []

    async def handle(received):
        seen.append(received.payload)
        return Done()

    for number in range(40):
        await nats.publish("work.a", b"%d" % number)
    async with consuming(nats, handle):
        await eventually(lambda: len(seen) == 40)
    async with consuming(nats, handle):
        await nats.publish("work.a", b"40")
        await eventually(lambda: len(seen) == 41)
    assert sorted(map(int, seen)) == list(range(41))


async def test_a_handler_that_raises_is_tried_again_and_holds_up_no_other(nats, monkeypatch):
    monkeypatch.setattr(consumer, "FIRST_PAUSE_SECONDS", 0.05)
    tries = []

    async def handle(received):
        tries.append(received.payload)
        if received.payload == b"bad" and received.deliveries < 3:
            raise RuntimeError("not yet")
        return Done()

    await nats.publish("work.a", b"bad")
    await nats.publish("work.a", b"good")
    async with consuming(nats, handle):
        await eventually(lambda: tries.count(b"bad") == 3)
        await eventually(lambda: settled(nats))
    assert tries.count(b"good") == 1
    assert await dead(nats) == []


async def test_what_still_fails_after_its_last_delivery_is_set_aside_with_its_origin(nats):
    async def handle(received):
        return Retry(0.01)

    await nats.publish("work.poison", b"poison")
    async with consuming(nats, handle, max_deliveries=3):
        await eventually(lambda: settled(nats))
    (letter,) = await dead(nats)
    assert letter.subject == "dead.WORK.worker"
    assert letter.payload == b"poison"
    assert letter.headers["Dead-Subject"] == "work.poison"
    assert "after 3 deliveries" in letter.headers["Dead-Reason"]


async def test_what_no_retry_can_help_is_set_aside_at_once(nats):
    async def handle(received):
        return DeadLetter("unreadable")

    await nats.publish("work.a", b"?")
    async with consuming(nats, handle):
        await eventually(lambda: settled(nats))
    assert [letter.headers["Dead-Reason"] for letter in await dead(nats)] == ["unreadable"]


async def test_long_work_stays_with_its_worker(nats):
    started = []

    async def handle(received):
        started.append(received.payload)
        await asyncio.sleep(1.2)  # three times as long as the server would wait without a word
        return Done()

    await nats.publish("work.a", b"long")
    async with consuming(nats, handle, ack_wait_seconds=0.4), consuming(nats, handle, ack_wait_seconds=0.4):
        await eventually(lambda: started != [])
        await eventually(lambda: settled(nats))
    assert started == [b"long"]


async def test_what_a_stopped_worker_had_taken_goes_to_another_at_once(nats):
    taken, done = [], []

    async def hang(received):
        taken.append(received.payload)
        await asyncio.Event().wait()

    async def handle(received):
        done.append(received.payload)
        return Done()

    for number in range(10):
        await nats.publish("work.a", b"%d" % number)
    async with consuming(nats, hang, concurrency=3):
        await eventually(lambda: len(taken) == 3)
    async with consuming(nats, handle):
        await eventually(lambda: len(done) == 10, within=5)  # not after the 30 s of ack_wait
    assert sorted(map(int, done)) == list(range(10))


def test_pauses_grow_and_have_an_end():
    assert [pause_after(deliveries) for deliveries in (1, 2, 3)] == [0.2, 0.4, 0.8]
    assert pause_after(50) == 30.0
