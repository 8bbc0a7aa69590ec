"""`python -m devstack.demo`: status 0 only if every step held; 2 when there is nothing to talk to."""

import argparse
import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from devstack.demo.api import Api
from devstack.demo.cast import CommandLine, assemble
from devstack.demo.chapters import CHAPTERS
from devstack.demo.narrator import INDENT, Narrator
from devstack.demo.photos import choose
from devstack.folder import StateFolder, default_folder, is_running, temporary_folder
from devstack.stack import Stack
from devstack.state import State
from devstack.trouble import ConfigurationTrouble, Trouble

FAILED, WRONG_USAGE = 1, 2


def main() -> int:
    """Tell the story and return the exit status."""
    arguments = _parser().parse_args()
    try:
        return asyncio.run(_run(arguments))
    except ConfigurationTrouble as trouble:
        print(trouble)
        return WRONG_USAGE
    except Trouble as trouble:
        print(trouble)
        return FAILED
    except KeyboardInterrupt:
        return 130


async def tell(url: str, variables: Mapping[str, str], photos: str | None) -> int:
    """Tell the story of a system whose GraphQL address and command-line variables are given; return the status."""
    photographs = choose(photos)
    narrator = Narrator()
    began = time.perf_counter()
    async with Api(url) as api:
        narrator.tell(f"The API: {url}")
        with narrator.step("Four people are made known (heliograph user create) and get tokens (heliograph token)."):
            cast = await assemble(api, CommandLine(variables))
        try:
            for chapter in CHAPTERS:
                await chapter(cast, photographs, narrator)
        except Exception as error:
            print(f"\nThe story ends here ({type(error).__name__}), after {narrator.steps} steps.")
            return FAILED
    seconds = time.perf_counter() - began
    print(f"\nThe end: {narrator.steps} steps, {narrator.checks} checks, every one held, in {seconds:.1f} s.")
    return 0


async def _run(arguments: argparse.Namespace) -> int:
    if arguments.url:
        return await tell(arguments.url, os.environ, arguments.photos)
    folder = StateFolder(arguments.folder or default_folder())
    if is_running(folder):
        state = State.load(folder)
        if state.status != "ready":
            raise ConfigurationTrouble(f"The stack on {folder.path} is {state.status}; try again when it is ready.")
        return await tell(_graphql(state), _variables(folder.path), arguments.photos)
    async with _own_stack() as stack:
        return await tell(_graphql(stack.state), _variables(stack.folder.path), arguments.photos)


def _variables(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HELIOGRAPH_")}
    return {**kept, "HELIOGRAPH_STATE": str(folder)}


def _graphql(state: State) -> str:
    if "graphql" not in state.addresses:
        raise ConfigurationTrouble(
            "The running stack has no gateway; stop it (make down) and start all of it (make run)."
        )
    return state.addresses["graphql"]


@asynccontextmanager
async def _own_stack() -> AsyncIterator[Stack]:
    print(f"{INDENT} No system runs here; one is started for this story, in a temporary folder.", flush=True)
    with temporary_folder("demo") as folder:
        began = time.perf_counter()
        async with Stack(folder / "state") as stack:
            print(f"{INDENT} It is ready after {time.perf_counter() - began:.1f} s.", flush=True)
            yield stack


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make demo", description="The product's story over its public API.")
    parser.add_argument("--folder", type=Path, help="state folder of the running stack (default: .heliograph)")
    parser.add_argument("--url", help="GraphQL address of a system elsewhere; the command line then needs HELIOGRAPH_*")
    parser.add_argument("--photos", default=os.environ.get("PHOTOS"), help="folder of photographs (default: PHOTOS)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
