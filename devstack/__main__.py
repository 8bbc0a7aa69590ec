"""`python -m devstack run|up|status|down|kill|clean|render`: the embedded stack on the command line.

Exit status: 0 when all went well, 1 when something failed, 2 when an argument or the surroundings are wrong; the last
line then says what to do.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from devstack.credentials import write_secret
from devstack.folder import StateFolder, default_folder, is_running
from devstack.state import State
from devstack.trouble import ConfigurationTrouble, Trouble

if TYPE_CHECKING:
    from devstack.stack import Stack

STOP_SECONDS = 60.0
START_SECONDS = 180.0


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    folder = StateFolder(Path(options.folder).absolute() if options.folder else default_folder())
    try:
        match options.command:
            case "run":
                return asyncio.run(_run(folder, options))
            case "up":
                return _up(folder, options)
            case "status":
                return _status(folder)
            case "down":
                return _down(folder)
            case "kill":
                return _kill(folder, options.name, options.signal)
            case "clean":
                return _clean(folder)
            case "secrets":
                return _secrets(Path(options.target))
            case _:
                return _render()
    except Trouble as trouble:
        print(trouble, file=sys.stderr)
        return 2 if isinstance(trouble, ConfigurationTrouble) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m devstack", description="The embedded stack.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("run", "start everything in the foreground; Ctrl-C stops it"),
        ("up", "start everything in the background"),
        ("status", "say which processes run, and where"),
        ("down", "stop what runs on the folder"),
        ("kill", "send a signal to a process by its name; one that ends is started again"),
        ("clean", "stop what runs on the folder and delete its data"),
        ("secrets", "make certificates, keys and passwords for compose.yaml; those that exist are kept"),
        ("render", "write the configuration files under deploy/ from devstack/settings.py"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--folder", help="state folder (HELIOGRAPH_STATE; default: .heliograph in the checkout)")
        if name in ("run", "up"):
            command.add_argument(
                "--gateway", metavar="HOST:PORT", help="where the gateway listens (default: a free port)"
            )
            command.add_argument("--services", help="only these, with commas between them, or none")
        if name == "run":
            command.add_argument(
                "--logs", choices=("services", "all", "none"), default="services", help="whose logs to show"
            )
        if name == "secrets":
            command.add_argument("target", nargs="?", default="deploy/secrets", help="folder (default: deploy/secrets)")
        if name == "kill":
            command.add_argument("name", help="process, as `status` lists it: dm_svc.work")
            command.add_argument("signal", nargs="?", default="KILL", help="KILL (default), STOP, CONT, TERM, ...")
    return parser


async def _run(folder: StateFolder, options: argparse.Namespace) -> int:
    # Imported here: the other commands answer at once without the clients of all servers.
    from devstack.logs import LogFollower
    from devstack.stack import ALL_SERVICES, Stack

    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    services = ALL_SERVICES if options.services is None else _names(options.services)
    began = time.monotonic()
    print(f"Starting on {folder.path}", flush=True)
    stack = Stack(folder.path, services=services, gateway_listen=options.gateway, redis_failover=True)
    starting = asyncio.create_task(stack.__aenter__())
    telling = asyncio.create_task(_tell_who_is_ready(stack, began))
    asked = asyncio.create_task(stopping.wait())
    await asyncio.wait({starting, asked}, return_when=asyncio.FIRST_COMPLETED)
    telling.cancel()
    if not starting.done():
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        print("Stopped before everything was ready")
        return 1
    await starting
    try:
        print(await _welcome(stack.state, folder, time.monotonic() - began), flush=True)
        shown = [
            folder.logs / f"{name}.log"
            for name in stack.state.children
            if options.logs == "all" or (options.logs == "services" and "." in name)
        ]
        following = asyncio.create_task(LogFollower(shown).follow())
        await asked
        following.cancel()
    finally:
        print("Stopping", flush=True)
        await stack.__aexit__(None, None, None)
    return 0


async def _tell_who_is_ready(stack: "Stack", began: float) -> None:
    """Print who answers by now, as it changes: a first start takes a while."""
    told: set[str] = set()
    while True:
        await asyncio.sleep(0.5)
        if new := [name for name in stack.ready if name not in told]:
            print(f"{time.monotonic() - began:5.1f} s  {', '.join(new)}", flush=True)
            told.update(new)


def _names(text: str) -> list[str]:
    return [] if text == "none" else text.split(",")


async def _welcome(state: State, folder: StateFolder, seconds: float) -> str:
    from devstack.welcome import welcome

    return f"Ready after {seconds:.1f} s.\n{await welcome(state, folder)}"


def _up(folder: StateFolder, options: argparse.Namespace) -> int:
    if is_running(folder):
        raise ConfigurationTrouble(f"A stack already runs on {folder.path}. Stop it with: make down")
    folder.create()
    command = [sys.executable, "-m", "devstack", "run", "--logs", "none", "--folder", str(folder.path)]
    for name in ("gateway", "services"):
        if value := getattr(options, name):
            command += [f"--{name}", value]
    log = folder.path / "supervisor.log"
    with log.open("wb") as output:
        supervisor = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    deadline = time.monotonic() + START_SECONDS
    while "Ready after" not in log.read_text():
        if supervisor.poll() is not None:
            kind = ConfigurationTrouble if supervisor.returncode == 2 else Trouble
            raise kind(log.read_text().strip())
        if time.monotonic() > deadline:
            supervisor.terminate()
            raise Trouble(f"The stack wasn't ready within {START_SECONDS:g} s; see {log}")
        time.sleep(0.05)
    time.sleep(0.1)
    print(log.read_text().strip())
    print("Stop it with: make down")
    return 0


def _status(folder: StateFolder) -> int:
    state = State.load(folder)
    print(f"{state.status}; supervisor {state.supervisor_pid}; {folder.path}")
    width = max(map(len, state.children), default=0)
    for name, child in state.children.items():
        pid = str(child.pid or "-")
        print(f"  {name:<{width}}  {child.status:<8}  pid {pid:<7}  started {child.starts}x")
    if "graphql" in state.addresses:
        print(f"GraphQL: {state.addresses['graphql']}")
    return 0


def _down(folder: StateFolder) -> int:
    if not is_running(folder):
        print(f"Nothing runs on {folder.path}")
        return 0
    os.kill(State.load(folder).supervisor_pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while is_running(folder):
        if time.monotonic() > deadline:
            raise Trouble(f"The stack on {folder.path} is still stopping after {STOP_SECONDS:g} s")
        time.sleep(0.05)
    print(f"Stopped what ran on {folder.path}")
    return 0


def _kill(folder: StateFolder, name: str, signal_name: str) -> int:
    children = State.load(folder).children
    if name not in children:
        raise ConfigurationTrouble(f"There is no process {name}. Those of this stack: {', '.join(children)}")
    number = _signal(signal_name)
    pid = children[name].pid
    if pid is None:
        raise Trouble(f"{name} is not running")
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        raise Trouble(f"{name} is not running") from None
    print(f"Sent {number.name} to {name} ({pid})")
    return 0


def _signal(text: str) -> signal.Signals:
    try:
        return signal.Signals(int(text)) if text.isdigit() else signal.Signals[f"SIG{text.upper().removeprefix('SIG')}"]
    except (KeyError, ValueError):
        raise ConfigurationTrouble(f"{text} is not a signal; KILL, STOP, CONT and TERM are") from None


def _clean(folder: StateFolder) -> int:
    from devstack.servers.postgres import outside

    _down(folder)
    for path in (folder.path, outside(folder)):
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            continue
        except PermissionError as error:
            raise ConfigurationTrouble(
                f"{path} can't be deleted by this account ({error.filename}): run the same command as its owner"
            ) from error
        print(f"Deleted {path}")
    return 0


def _secrets(target: Path) -> int:
    from devstack.certificates import Authority
    from devstack.keys import TokenKey
    from devstack.rendered import compose_passwords
    from devstack.services import TABLE

    for folder in (target / "tls", target / "jwt"):
        folder.mkdir(parents=True, exist_ok=True)
    authority = Authority(target / "tls")
    for name in (*TABLE, "cli"):
        authority.issue(name)
    TokenKey(target / "jwt")
    passwords = target / ".env"
    if not passwords.exists():
        write_secret(passwords, compose_passwords())
    print(f"Certificates, keys and passwords stand in {target}. Start with:")
    print(f"    docker compose --env-file {passwords} up --build")
    return 0


def _render() -> int:
    from devstack.rendered import FILES

    for file, content in FILES.items():
        file.write_text(content)
        print(f"Wrote {file}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
