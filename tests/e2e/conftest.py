"""The whole system in real processes, started once, and people who use it over the public API."""

import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from devstack.demo.api import Api
from devstack.demo.cast import Cast, CommandLine, assemble
from devstack.demo.chapters.people import FOLLOW
from devstack.stack import Stack
from tests.fixtures.stack import state_folder

CURL = f"""#!{sys.executable}
# Stands in for curl where there is none: -s URL, -H header, -H @file, -d body, -G --data-urlencode, -N.
import sys, urllib.parse, urllib.request
arguments, headers, body, url, fields = iter(sys.argv[1:]), {{}}, None, "", []
for argument in arguments:
    if argument == "-H":
        value = next(arguments)
        for line in open(value[1:]).read().splitlines() if value.startswith("@") else [value]:
            name, _, text = line.partition(": ")
            headers[name] = text
    elif argument == "-d":
        body = next(arguments).encode()
    elif argument == "--data-urlencode":
        fields.append(tuple(next(arguments).split("=", 1)))
    elif not argument.startswith("-"):
        url = argument
url += "?" + urllib.parse.urlencode(fields) if fields else ""
answer = urllib.request.urlopen(urllib.request.Request(url, body, headers))
for line in answer if "-sN" in sys.argv else [answer.read()]:
    print(line.decode().rstrip("\\n"), flush=True)
"""


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


@pytest.fixture
def curl(tmp_path: Path) -> Path:
    """A folder for PATH, so that there is curl."""
    folder = tmp_path / "bin"
    folder.mkdir()
    if shutil.which("curl") is None:
        (folder / "curl").write_text(CURL)
        (folder / "curl").chmod(0o755)
    return folder
