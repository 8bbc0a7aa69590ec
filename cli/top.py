"""`heliograph top`: every process of the system, live: rates, errors, p99, lags, memory."""

import asyncio
import sys
import time
from argparse import Namespace
from collections.abc import Mapping

import aiohttp

from cli.commands import FOUND_TROUBLE, OK, Nouns
from cli.output import table_lines
from cli.scrape import Activity, Scrape, between, parse
from cli.services import Services
from mesh.config import ConfigError

ANSWER_SECONDS = 2.0
CLEAR_SCREEN = "\x1b[H\x1b[2J"
HEADINGS = ("process", "calls/s", "errors/s", "p99 ms", "messages/s", "furthest behind", "MiB", "trouble")


def add(nouns: Nouns) -> None:
    """Add `top`, which has no verbs."""
    summary = "live view of every process: rates, p99, errors, lags; Ctrl-C ends it"
    parser = nouns.add_parser("top", help=summary, description=summary)
    parser.add_argument("--every", type=float, default=2.0, metavar="SECONDS", help="between two views (default: 2)")
    parser.add_argument("--once", action="store_true", help="one view, then end; status 3 if a process is in trouble")
    parser.set_defaults(run=top)


async def top(services: Services, arguments: Namespace) -> int:
    """Show the processes again and again, or once."""
    addresses = services.settings.metrics
    if not addresses:
        raise ConfigError(
            "No process is known. Start the system here with make run, or set HELIOGRAPH_METRICS_ADDRESSES to a list "
            "like feed_svc.serve=127.0.0.1:9100,..."
        )
    before = await _scrape_all(addresses)
    while True:
        await asyncio.sleep(arguments.every)
        after = await _scrape_all(addresses)
        rows = [_row(process, before[process], after[process]) for process in addresses]
        if sys.stdout.isatty() and not arguments.once:
            print(CLEAR_SCREEN, end="")
        print("\n".join(table_lines(HEADINGS, rows)), flush=True)
        if arguments.once:
            return FOUND_TROUBLE if any(row[-1] for row in rows) else OK
        before = after


async def _scrape_all(addresses: Mapping[str, str]) -> dict[str, Scrape | None]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(ANSWER_SECONDS)) as session:
        scrapes = await asyncio.gather(*(_scrape(session, address) for address in addresses.values()))
    return dict(zip(addresses, scrapes, strict=True))


async def _scrape(session: aiohttp.ClientSession, address: str) -> Scrape | None:
    """Return a process's metrics; `None` when it doesn't answer."""
    try:
        async with session.get(f"http://{address}/metrics") as response:
            response.raise_for_status()
            return parse(await response.text(), at=time.monotonic())
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None


def _row(process: str, before: Scrape | None, after: Scrape | None) -> list[object]:
    if after is None:
        return [process, *[""] * (len(HEADINGS) - 2), "doesn't answer"]
    activity = between(before or after, after)
    return [
        process,
        f"{activity.calls_per_s:.1f}",
        f"{activity.errors_per_s:.1f}",
        "-" if activity.p99_ms is None else f"{activity.p99_ms:g}",
        f"{activity.messages_per_s:.1f}",
        _lag(activity),
        f"{activity.memory_mib:.0f}",
        "without " + ", ".join(activity.down) if activity.down else "",
    ]


def _lag(activity: Activity) -> str:
    if activity.worst_lag is None:
        return "-"
    name, seconds = activity.worst_lag
    return f"{seconds:.1f} s {name}"
