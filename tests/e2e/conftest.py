"""The whole system in real processes, started once, and people who use it over the public API."""

import os
from collections.abc import AsyncIterator

import pytest

from devstack.demo.api import Api
from devstack.demo.cast import Cast, CommandLine, assemble
from devstack.demo.chapters.people import FOLLOW
from devstack.stack import Stack
from tests.fixtures.stack import state_folder


@pytest.fixture(scope="session")
async def system() -> AsyncIterator[Stack]:
    """Every server, service and worker."""
    with state_folder() as folder:
        async with Stack(folder) as running:
            yield running


@pytest.fixture(scope="session")
def heliograph(system: Stack) -> CommandLine:
    """The command line, as somebody would type it beside the running system."""
    return CommandLine({**os.environ, "HELIOGRAPH_STATE": str(system.folder.path)})


@pytest.fixture
async def api(system: Stack) -> AsyncIterator[Api]:
    """The public API."""
    async with Api(system.state.addresses["graphql"]) as opened:
        yield opened


@pytest.fixture
async def cast(api: Api, heliograph: CommandLine) -> Cast:
    """Four new people: Ben and Cleo follow Ada and one another, Dan is a stranger."""
    people = await assemble(api, heliograph)
    pairs = ((people.ben, people.ada), (people.cleo, people.ada), (people.ben, people.cleo), (people.cleo, people.ben))
    for follower, followed in pairs:
        await follower.ask(FOLLOW, who=followed.user_id)
    return people
