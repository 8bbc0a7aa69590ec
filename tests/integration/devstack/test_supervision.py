"""What crashes is started again; what is stopped is gone."""

import re
import signal
import sys
import time

import aiohttp
import pytest

from devstack.process import Process, Spec
from devstack.stack import Stack
from devstack.trouble import ConfigurationTrouble, Trouble
from tests.fixtures.stack import eventually, state_folder
from tests.integration.devstack.fakes import FAKE


@pytest.fixture
async def running():
    """A stack of one fake service and the quickest server."""
    with state_folder() as folder:
        async with Stack(folder, services=[FAKE], servers=["redis"]) as stack:
            yield stack


async def test_a_killed_process_is_started_again(running):
    before = running.pid("fake_svc.work")
    running.kill("fake_svc.work")
    await running.wait_ready("fake_svc.work", within_seconds=10)
    assert running.starts("fake_svc.work") == 2
    assert running.pid("fake_svc.work") not in (before, None)
    assert running.starts("fake_svc.serve") == 1


async def test_a_killed_server_is_started_again(running):
    running.kill("redis", signal.SIGKILL)
    await running.wait_ready("redis", within_seconds=10)
    assert running.starts("redis") == 2


async def test_what_a_killed_process_leaves_behind_is_killed_too(running):
    helper = _helper(running)
    running.kill("fake_svc.work")
    await eventually(lambda: not _is_alive(helper))


async def test_a_held_process_stays_down_until_it_is_released(running):
    await running.hold("fake_svc.serve")
    assert running.pid("fake_svc.serve") is None
    await eventually(lambda: running.state.children["fake_svc.serve"].status == "held")
    with pytest.raises(Trouble, match="fake_svc.serve is not running"):
        running.kill("fake_svc.serve")
    running.release("fake_svc.serve")
    await running.wait_ready("fake_svc.serve", within_seconds=10)
    assert running.starts("fake_svc.serve") == 2


async def test_a_paused_process_answers_nobody_until_it_is_resumed(running):
    listen = running.state.environment("fake_svc.serve")["HELIOGRAPH_METRICS_LISTEN"]
    running.pause("fake_svc.serve")
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(0.5)) as session:
        with pytest.raises(TimeoutError):
            await session.get(f"http://{listen}/readyz")
    running.resume("fake_svc.serve")
    async with aiohttp.ClientSession() as session, session.get(f"http://{listen}/readyz") as response:
        assert response.status == 200
    assert running.starts("fake_svc.serve") == 1


async def test_restart_is_orderly(running):
    await running.restart("fake_svc.serve")
    assert "serve leaves" in running.log("fake_svc.serve")
    assert running.starts("fake_svc.serve") == 2


async def test_the_pause_before_a_restart_grows(running):
    began = time.monotonic()
    for _ in range(3):
        running.kill("fake_svc.serve")
        await running.wait_ready("fake_svc.serve", within_seconds=20)
    assert time.monotonic() - began > 0.2 + 0.4 + 0.8


async def test_an_unknown_name_lists_the_known_ones(running):
    with pytest.raises(ConfigurationTrouble, match=r"no process feed.*redis, fake_svc.serve, fake_svc.work"):
        running.kill("feed")


async def test_each_process_is_told_what_it_needs_and_nothing_of_its_surroundings(monkeypatch):
    monkeypatch.setenv("HELIOGRAPH_LEFT_OVER", "from another shell")
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1")
    with state_folder() as folder:
        async with Stack(folder, services=[FAKE], environment={"FAKE_EXTRA": "1"}) as stack:
            nodes = set()
            for name in ("fake_svc.serve", "fake_svc.work"):
                listen = stack.state.environment(name)["HELIOGRAPH_METRICS_LISTEN"]
                async with aiohttp.ClientSession() as session, session.get(f"http://{listen}/readyz") as response:
                    seen = await response.json(content_type=None)
                assert stack.state.environment(name).items() <= seen.items()
                assert seen.keys().isdisjoint({"HELIOGRAPH_LEFT_OVER", "HTTP_PROXY"})
                assert seen["FAKE_EXTRA"] == "1"
                assert "fake_svc" in seen["HELIOGRAPH_POSTGRES_DSN"]
                nodes.add(seen["HELIOGRAPH_NODE"])
            assert len(nodes) == 2


async def test_services_stop_before_servers_and_nothing_is_left():
    with state_folder() as folder:
        async with Stack(folder, services=[FAKE], servers=["redis"], replicas={"fake_svc.work": 2}) as stack:
            assert list(stack.state.children) == ["redis", "fake_svc.serve", "fake_svc.work", "fake_svc.work.2"]
            pids = [child.pid for child in stack.state.children.values()] + [_helper(stack)]
        assert "work leaves" in stack.log("fake_svc.work.2")
        assert not [pid for pid in pids if _is_alive(pid)]


async def test_a_service_that_refuses_its_settings_ends_the_start_with_its_own_words():
    with state_folder() as folder:
        stack = Stack(folder, services=[FAKE], servers=["redis"], environment={"FAKE_REFUSE": "work"})
        with pytest.raises(ConfigurationTrouble, match="HELIOGRAPH_CURSOR_KEY must be longer"):
            await stack.__aenter__()
        assert not [child.pid for child in stack.state.children.values() if child.pid]


async def test_a_migration_that_fails_ends_the_start_with_its_own_words():
    with state_folder() as folder:
        stack = Stack(folder, services=[FAKE], servers=["redis"], environment={"FAKE_CRASH": "migrate"})
        with pytest.raises(Trouble, match="(?s)could not bring its database up to date.*this one can't live"):
            await stack.__aenter__()


async def test_a_service_that_can_not_live_ends_the_start_soon():
    with state_folder() as folder:
        began = time.monotonic()
        stack = Stack(folder, services=[FAKE], servers=["redis"], environment={"FAKE_CRASH": "serve"})
        with pytest.raises(Trouble, match="(?s)ends as soon as it is started.*this one can't live"):
            await stack.__aenter__()
        assert time.monotonic() - began < 20


async def test_a_process_that_ignores_the_request_to_stop_is_killed(tmp_path):
    async def ready():
        pass

    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    spec = Spec(
        name="deaf",
        command=(sys.executable, "-c", script),
        environment={},
        folder=tmp_path,
        log=tmp_path / "log",
        ready=ready,
        stop_seconds=0.3,
    )
    process = Process.start(spec)
    await eventually(lambda: "deaf" in spec.log.read_text())
    assert await process.stop() == -signal.SIGKILL


def _helper(stack):
    found = re.search(r"helper (\d+)", stack.log("fake_svc.work"))
    assert found is not None
    return int(found[1])


def _is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
