"""The people of one run: made with the command line, since accounts belong to another system."""

import asyncio
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from devstack.demo.api import Api, Person
from devstack.folder import CHECKOUT
from devstack.trouble import Trouble

NAMES = ("Ada", "Ben", "Cleo", "Dan")


@dataclass(frozen=True, slots=True)
class Cast:
    """Four people: Ada photographs, Ben and Cleo follow her and are friends, Dan is a stranger."""

    ada: Person
    ben: Person
    cleo: Person
    dan: Person


class CommandLine:
    """`heliograph`, as somebody would type it."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        """`variables` is the environment of the command."""
        self._variables = dict(variables)

    async def __call__(self, *arguments: str) -> str:
        """Run `heliograph` with these arguments and return what it prints; `Trouble` when it fails."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "cli",
            *arguments,
            cwd=CHECKOUT,
            env=self._variables,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
        if process.returncode != 0:
            raise Trouble(f"heliograph {' '.join(arguments)} failed: {errors.decode().strip()}")
        return output.decode().strip()


async def assemble(api: Api, heliograph: CommandLine) -> Cast:
    """Make four new people, each with a token, so that every run begins with empty feeds."""
    mark = secrets.token_hex(3)
    usernames = [f"{name.lower()}.{mark}" for name in NAMES]
    await heliograph("user", "create", *usernames)
    tokens = (await heliograph("token", *usernames)).split()
    people = [await _person(api, *one) for one in zip(NAMES, usernames, tokens, strict=True)]
    return Cast(*people)


async def _person(api: Api, name: str, username: str, token: str) -> Person:
    data = await api.ask("{ viewer { id username } }", {}, token=token)
    if data["viewer"]["username"] != username:
        raise Trouble(f"the token of {username} is answered as {data['viewer']['username']}")
    return Person(api, name, username, data["viewer"]["id"], token)
