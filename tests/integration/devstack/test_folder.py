"""The state folder: data is found again, two stacks live side by side, and what is wrong is said."""

import io
import os
import secrets
import shutil
import socket
import tempfile
from pathlib import Path

import aiohttp
import nats
import psycopg
import pytest
from redis.asyncio import Redis

from devstack.folder import FolderLock, StateFolder
from devstack.ports import HOST, PortBlock, is_free
from devstack.services import Service
from devstack.settings import PRIVATE_BUCKET
from devstack.stack import Stack
from devstack.state import State
from devstack.trouble import ConfigurationTrouble
from tests.fixtures.stack import state_folder
from tests.integration.devstack.fakes import FAKE
from tests.integration.devstack.plain import outcome_as_plain_user


async def test_data_and_ports_are_found_again():
    with state_folder() as folder:
        async with Stack(folder, services=[]) as stack:
            await _write(stack)
            ports = stack.state.ports
        async with Stack(folder, services=[]) as stack:
            await _expect_written(stack)
            assert stack.state.ports == ports


async def test_data_is_found_again_when_its_ports_are_taken():
    with state_folder() as folder:
        async with Stack(folder, services=[]) as stack:
            await _write(stack)
            ports = stack.state.ports
        with socket.socket() as other_program:
            other_program.bind((HOST, ports["redis"]))
            other_program.listen()
            async with Stack(folder, services=[]) as stack:
                await _expect_written(stack)
                assert stack.state.ports["redis"] != ports["redis"]
                assert stack.state.ports["postgres"] == ports["postgres"]
        block = PortBlock(ports)
        async with Stack(folder, services=[]) as stack:
            await _expect_written(stack)
            assert not set(stack.state.ports.values()) & set(ports.values())
        block.close()


async def test_two_stacks_live_side_by_side():
    with state_folder() as one, state_folder() as two:
        async with Stack(one, services=[]) as first, Stack(two, services=[]) as second:
            assert not set(first.state.ports.values()) & set(second.state.ports.values())
            await _write(first)
            async with Redis.from_url(second.redis.admin_url()) as client:
                assert await client.get("key") is None


async def test_a_second_stack_on_the_same_folder_is_refused():
    with state_folder() as folder:
        async with Stack(folder, services=[], servers=["redis"]):
            with pytest.raises(ConfigurationTrouble, match="A stack already runs on .*make down"):
                await Stack(folder, services=[], servers=["redis"]).__aenter__()


async def test_the_state_file_is_only_for_its_owner_and_tells_whether_the_stack_lives():
    with state_folder() as folder:
        async with Stack(folder, services=[], servers=["redis"]) as stack:
            state = State.load(stack.folder)
            assert state.status == "ready"
            assert state.supervisor_pid == os.getpid()
            assert state.children["redis"].pid == stack.pid("redis")
            assert state.addresses["redis"] == stack.redis.admin_url()
            assert stack.folder.state_file.stat().st_mode & 0o077 == 0
        with pytest.raises(ConfigurationTrouble, match="No stack runs on"):
            State.load(stack.folder)


async def test_a_state_file_that_can_not_be_read_is_no_obstacle():
    with state_folder() as folder:
        folder.mkdir()
        (folder / "state.json").write_text("{ not json")
        async with Stack(folder, services=[], servers=["redis"]) as stack:
            assert stack.state.ports["redis"]


def test_the_folder_of_another_account_is_said():
    # /usr is root's. As root there is one of nobody's.
    folder = Path(tempfile.mkdtemp()) if os.geteuid() == 0 else Path("/usr")
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody")
    with pytest.raises(ConfigurationTrouble, match=r"was first used by (nobody|root) and can't be used by .*--folder"):
        StateFolder(folder).create()
    if os.geteuid() == 0:
        folder.rmdir()


def test_the_folder_that_root_used_first_is_said_to_a_plain_user():
    with state_folder() as folder:
        StateFolder(folder).create()
        folder.chmod(0o755)
        if os.geteuid() == 0:
            said = outcome_as_plain_user(StateFolder(folder).create)
        else:
            said = outcome_as_plain_user(StateFolder(Path("/usr")).create)
        assert "was first used by root and can't be used by" in said
        assert said.startswith("ConfigurationTrouble")


def test_a_folder_that_can_not_be_written_is_said():
    said = outcome_as_plain_user(StateFolder(Path("/usr/heliograph-state")).create)
    assert said.startswith(
        "ConfigurationTrouble: The state folder /usr/heliograph-state can't be used (Permission denied"
    )
    assert "--folder or HELIOGRAPH_STATE" in said


def test_a_folder_that_is_a_file_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationTrouble, match=r"can't be used \(File exists"):
        StateFolder(tmp_path / "file").create()


def test_the_lock_of_a_folder_is_free_again_after_use(tmp_path):
    folder = StateFolder(tmp_path)
    with FolderLock(folder), pytest.raises(ConfigurationTrouble), FolderLock(folder):
        pass
    with FolderLock(folder):
        pass


async def test_a_gateway_port_in_use_is_said():
    with state_folder() as folder, socket.socket() as other_program:
        other_program.bind((HOST, 0))
        other_program.listen()
        listen = f"{HOST}:{other_program.getsockname()[1]}"
        with pytest.raises(ConfigurationTrouble, match=f"The port of {listen} is in use"):
            await Stack(folder, services=["gateway"], servers=["redis"], gateway_listen=listen).__aenter__()
        with pytest.raises(ConfigurationTrouble, match="not an address to listen on"):
            await Stack(folder, services=["gateway"], servers=["redis"], gateway_listen="8080").__aenter__()


async def test_an_inherited_locale_that_does_not_exist_is_no_obstacle(monkeypatch):
    for name in ("LANG", "LC_ALL", "LC_CTYPE"):
        monkeypatch.setenv(name, "xx_XX.UTF-9")
    with state_folder() as folder:
        async with Stack(folder, services=[], servers=["postgres"]) as stack:
            async with await psycopg.AsyncConnection.connect(stack.postgres.dsn("feed_svc")) as connection:
                row = await (await connection.execute("SELECT lower('ÀÉÎÕÜ'), current_setting('timezone')")).fetchone()
            assert row == ("àéîõü", "UTC")


async def test_each_service_has_a_database_that_the_others_can_not_enter(stack):
    async with await psycopg.AsyncConnection.connect(stack.postgres.dsn("dm_svc")) as connection:
        row = await (await connection.execute("SELECT current_user, current_database()")).fetchone()
        assert row == ("dm_svc", "dm_svc")
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        await psycopg.AsyncConnection.connect(stack.postgres.dsn("dm_svc", database="feed_svc"))


def test_ports_of_a_block_are_distinct_free_and_below_the_ephemeral_ones():
    block = PortBlock({})
    ports = [block.port(f"name{number}", twin=True) for number in range(20)]
    assert len(set(ports)) == 20
    assert all(12_700 < port < 22_700 and is_free(port) and is_free(port + 10_000) for port in ports)
    block.close()


async def test_a_database_is_migrated_again_only_when_something_has_changed(tmp_path):
    shutil.copytree(FAKE.folder / FAKE.name, tmp_path / FAKE.name)
    service = Service(FAKE.name, folder=tmp_path)
    with state_folder() as folder:
        log = folder / "logs" / "fake_svc.migrate.log"
        for is_changed in (True, False, True):
            if is_changed:
                (tmp_path / FAKE.name / "0001_initial.sql").write_text(f"-- {secrets.token_hex()}")
            async with Stack(folder, services=[service], servers=["postgres"]):
                assert log.exists() is is_changed


async def _write(stack):
    async with await psycopg.AsyncConnection.connect(stack.postgres.dsn("feed_svc")) as connection:
        await connection.execute("CREATE TABLE kept (value text)")
        await connection.execute("INSERT INTO kept VALUES ('postgres')")
    async with Redis.from_url(stack.redis.url("feed_svc")) as client:
        await client.set("key", "redis")
    client = await nats.connect(stack.nats.url("dm_svc"))
    await client.jetstream().add_stream(name="KEPT", subjects=["kept"])
    await client.jetstream().publish("kept", b"nats")
    await client.close()
    stack.s3.client().put_object(PRIVATE_BUCKET, "kept", io.BytesIO(b"s3"), 2)


async def _expect_written(stack):
    async with await psycopg.AsyncConnection.connect(stack.postgres.dsn("feed_svc")) as connection:
        assert await (await connection.execute("SELECT value FROM kept")).fetchone() == ("postgres",)
    async with Redis.from_url(stack.redis.url("feed_svc")) as client:
        assert await client.get("key") == b"redis"
    client = await nats.connect(stack.nats.url("dm_svc"))
    assert (await client.jetstream().get_msg("KEPT", 1)).data == b"nats"
    await client.close()
    address = stack.s3.client().presigned_get_object(PRIVATE_BUCKET, "kept")
    async with aiohttp.ClientSession() as session, session.get(address) as response:
        assert await response.read() == b"s3"
