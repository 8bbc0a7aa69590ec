"""The arguments of `heliograph`, its exit statuses, and errors as sentences.

Status 0: done. 1: a service answered with an error, or not at all. 2: wrong arguments or settings. 3: a check ran and
found something that should not be.
"""

import asyncio
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from cli import address, dm, feed, media, policy, settings, story, token, top, user
from cli.commands import FAILED, WRONG_USAGE
from cli.services import Services
from mesh.config import ConfigError
from mesh.errors import HeliographError

INTERRUPTED = 130
"""What a shell reports of a command that Ctrl-C ended."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say and return the exit status."""
    parsed = parser().parse_args(arguments)
    try:
        return asyncio.run(_run(parsed))
    except ConfigError as error:
        print(f"heliograph: {error}", file=sys.stderr)
        return WRONG_USAGE
    except HeliographError as error:
        print(f"heliograph: {sentence(error)}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:  # the reader of our output has enough
        sys.stderr.close()
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def parser() -> ArgumentParser:
    """Return the parser of the whole command line."""
    root = ArgumentParser(
        prog="heliograph",
        description="Care of a running heliograph system.",
        epilog="Status: 0 done, 1 a service refused or didn't answer, 2 wrong arguments or settings, "
        "3 a check found something wrong.",
    )
    root.add_argument("--folder", type=Path, help="state folder of the embedded stack (default: .heliograph)")
    nouns = root.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for noun in (address, user, token, policy, feed, story, media, dm, top):
        noun.add(nouns)
    return root


def sentence(error: HeliographError) -> str:
    """Return an error as a line for people: what is wrong, its reason, and what belongs to it."""
    details = ", ".join(f"{name}: {value}" for name, value in sorted(error.metadata.items()))
    hint = " Is the system running? (make run)" if error.reason == "UNAVAILABLE" else ""
    return f"{error.message} [{error.reason}{'; ' + details if details else ''}]{hint}"


async def _run(arguments: Namespace) -> int:
    async with AsyncExitStack() as stack:
        services = Services(settings.find(os.environ, arguments.folder), stack)
        status: int = await arguments.run(services, arguments)
        return status
