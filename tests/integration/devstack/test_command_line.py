"""`python -m devstack`: what a person sees, and the exit statuses."""

import sys

from tests.fixtures.stack import state_folder
from tests.integration.devstack.plain import run

DEVSTACK = (sys.executable, "-m", "devstack")
NO_SERVICES = ("--services", "none")


async def test_up_status_kill_down_clean():
    with state_folder() as folder:
        place = ("--folder", str(folder))
        status, output = await run(*DEVSTACK, "up", *NO_SERVICES, *place)
        assert status == 0, output
        assert "Ready after" in output

        status, output = await run(*DEVSTACK, "status", *place)
        assert status == 0
        assert "redis     ready" in output

        for command in ("up", "run"):
            status, output = await run(*DEVSTACK, command, *NO_SERVICES, *place)
            assert status == 2
            assert "A stack already runs on" in output

        status, output = await run(*DEVSTACK, "kill", "redis", "KILL", *place)
        assert (status, output.startswith("Sent SIGKILL to redis")) == (0, True)
        assert (await run(*DEVSTACK, "kill", "nobody", *place))[0] == 2
        assert (await run(*DEVSTACK, "kill", "redis", "LOUDLY", *place))[0] == 2

        status, output = await run(*DEVSTACK, "down", *place)
        assert (status, output) == (0, f"Stopped what ran on {folder}\n")
        status, output = await run(*DEVSTACK, "status", *place)
        assert status == 2
        assert "Start one with: make run" in output

        assert (await run(*DEVSTACK, "clean", *place))[0] == 0
        assert not folder.exists()


async def test_an_unknown_service_is_said():
    with state_folder() as folder:
        status, output = await run(*DEVSTACK, "run", "--services", "feeds", "--folder", str(folder))
        assert status == 2
        assert output.strip().endswith(
            "There is no service feeds. There are: feed_svc, story_svc, dm_svc, media_svc, gateway"
        )
        assert "Traceback" not in output


async def test_the_folder_can_be_named_by_the_environment():
    with state_folder() as folder:
        status, output = await run(*DEVSTACK, "status", HELIOGRAPH_STATE=str(folder))
        assert status == 2
        assert str(folder) in output
