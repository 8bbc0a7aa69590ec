"""mesh.outbox: what was committed is published once, and what was not is never seen."""

import asyncio

import psycopg
import pytest
from nats.js.api import StreamConfig

from mesh import jetstream, outbox, postgres
from mesh.config import PostgresConfig
from mesh.events import Event
from mesh.jetstream import MessagingUnavailable
from mesh.postgres import PostgresUnavailable
from tests.fixtures.stack import eventually

STREAM = "OUTBOX_TEST"


@pytest.fixture
async def dsn(new_database):
    return await new_database(outbox.COMPONENT)


@pytest.fixture
async def database(dsn):
    async with postgres.connect(PostgresConfig(dsn, None, 5, 5.0)) as database:
        yield database


@pytest.fixture
async def stream(nats_url_of):
    async with jetstream.connect(nats_url_of("feed_svc"), name="test") as stream:
        await stream.declare_stream(StreamConfig(name=STREAM, subjects=["post.>"]))
        yield stream


@pytest.fixture
def relay(database, stream):
    return outbox.Relay(postgres=database, jetstream=stream, wakeup=outbox.Wakeup(stream, "feed_svc"))


async def commit(database, *events):
    async with database.transaction() as connection:
        await outbox.add(connection, *events)


async def waiting(database):
    async with database.read() as connection:
        return (await (await connection.execute("SELECT count(*) FROM outbox")).fetchone())[0]


async def published(stream):
    found = []
    for sequence in range(1, await stream.last_sequence(STREAM) + 1):
        found.append((await stream.get(STREAM, sequence)).payload)
    return found


async def test_committed_events_are_published_in_order_and_removed(database, stream, relay):
    await commit(database, Event("post.created.1", b"1"), Event("post.created.2", b"2"))
    await commit(database, Event("post.deleted.1", b"3"))
    assert await relay.publish_batch() == 3
    assert await published(stream) == [b"1", b"2", b"3"]
    assert await waiting(database) == 0
    assert await relay.publish_batch() == 0


async def test_a_rolled_back_event_is_never_published(database, stream, relay):
    with pytest.raises(KeyError):
        async with database.transaction() as connection:
            await outbox.add(connection, Event("post.created.1", b"1"))
            raise KeyError
    assert await relay.publish_batch() == 0
    assert await stream.last_sequence(STREAM) == 0


async def test_a_crash_between_publish_and_removal_stores_the_event_once(database, stream, relay, monkeypatch):
    await commit(database, Event("post.created.1", b"1"))

    async def crash(*_args, **_parameters):
        raise psycopg.OperationalError("the connection was lost")

    with monkeypatch.context() as patch:
        patch.setitem(outbox._QUERIES, "remove", type("Crashing", (), {"run": staticmethod(crash)}))
        with pytest.raises(PostgresUnavailable):
            await relay.publish_batch()
    assert await waiting(database) == 1
    assert await relay.publish_batch() == 1
    assert await published(stream) == [b"1"]
    assert await waiting(database) == 0


async def test_an_event_that_can_not_be_published_stays_and_holds_up_no_other(database, stream, relay):
    await commit(
        database,
        Event("nobody.stores.this", b"no stream"),
        Event("post.created.1", b"1"),
        Event("post.created.2", b"x" * 2_000_000),
        Event("post.created.3", b"3"),
    )
    assert await relay.publish_batch() == 2
    assert sorted(await published(stream)) == [b"1", b"3"]
    assert await waiting(database) == 2


async def test_more_of_them_than_a_batch_hold_up_no_other(database, stream, relay, monkeypatch):
    monkeypatch.setattr(outbox, "BATCH", 4)
    monkeypatch.setattr(outbox, "IDLE_SECONDS", 0.01)
    await commit(database, *(Event("nobody.stores.this", b"") for _ in range(9)))
    await commit(database, *(Event("post.created.1", b"%d" % number) for number in range(30)))
    running = asyncio.create_task(relay.run())
    try:
        await eventually(lambda: only_wait(database, 9))  # a row goes once its event is acknowledged
    finally:
        running.cancel()
    assert sorted(map(int, await published(stream))) == list(range(30))


async def only_wait(database, count):
    return await waiting(database) == count


async def all_published(stream, count):
    return await stream.last_sequence(STREAM) >= count


async def test_what_could_not_be_published_is_published_when_its_stream_is_there(database, stream, relay):
    await commit(database, Event("late.event", b"1"))
    assert await relay.publish_batch() == 0
    await stream.declare_stream(StreamConfig(name="LATE", subjects=["late.>"]))
    assert await relay.publish_batch() == 1
    assert await waiting(database) == 0


async def test_rows_are_released_soon_when_messaging_hangs(database, stream, relay, monkeypatch):
    monkeypatch.setattr(outbox, "PUBLISH_SECONDS", 0.1)
    await commit(database, Event("post.created.1", b"1"))

    async def hang(*_args, **_options):
        await asyncio.sleep(60)

    with monkeypatch.context() as patch:
        patch.setattr(stream, "publish", hang)
        async with asyncio.timeout(2):
            assert await relay.publish_batch() == 0
    assert await relay.publish_batch() == 1


async def test_two_relays_share_the_rows_and_publish_each_once(database, stream, relay, monkeypatch):
    monkeypatch.setattr(outbox, "BATCH", 7)
    other = outbox.Relay(postgres=database, jetstream=stream, wakeup=outbox.Wakeup(stream, "feed_svc"))
    await commit(database, *(Event("post.created.1", b"%d" % number) for number in range(60)))
    while await waiting(database):
        await asyncio.gather(relay.publish_batch(), other.publish_batch())
    assert sorted(map(int, await published(stream))) == list(range(60))


async def test_a_running_relay_is_woken_by_a_hint_and_outlives_trouble(database, stream, relay, monkeypatch):
    monkeypatch.setattr(outbox, "IDLE_SECONDS", 30.0)
    monkeypatch.setattr(outbox, "RETRY_SECONDS", 0.01)
    take = outbox._QUERIES["take"]
    troubles = iter([psycopg.OperationalError("away"), MessagingUnavailable()])
    looked = asyncio.Event()

    class Troubled:
        async def all(self, *args, **parameters):
            if (trouble := next(troubles, None)) is not None:
                raise trouble
            looked.set()
            return await take.all(*args, **parameters)

    monkeypatch.setitem(outbox._QUERIES, "take", Troubled())
    running = asyncio.create_task(relay.run())
    try:
        async with asyncio.timeout(5):
            await looked.wait()
        await commit(database, Event("post.created.1", b"1"))
        await outbox.Wakeup(stream, "feed_svc").hint()
        await eventually(lambda: all_published(stream, 1), within=5)
    finally:
        running.cancel()


async def test_the_lag_is_measured(database, relay):
    await commit(database, Event("post.created.1", b"1"), Event("post.created.1", b"2"))
    await relay.measure()
    assert outbox._waiting._value.get() == 2
    assert outbox._oldest._value.get() > 0
