"""Asks NATS whether it syncs before it acknowledges (promise A3).

Of a cluster a minority may be away, else nothing could start while one server is being mended; no stream takes anything
without a majority.
"""

from typing import Any

import aiohttp

from mesh.errors import RefusedToServe
from mesh.jetstream import refuse_unless_syncing

ANSWER_SECONDS = 5.0


async def refuse_unless_log_is_durable(monitor_urls: str) -> None:
    """Raise `RefusedToServe` unless every server that answers, and that is most, syncs every write before its ack."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    urls = monitor_urls.split(",")
    silent: list[str] = []
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for url in urls:

            async def report(address: str = url.strip()) -> dict[str, Any]:
                async with session.get(f"{address.rstrip('/')}/varz") as answer:
                    answer.raise_for_status()
                    body: dict[str, Any] = await answer.json()
                return body

            try:
                await refuse_unless_syncing(report)
            except (aiohttp.ClientError, TimeoutError) as error:
                silent.append(f"{url.strip()} ({type(error).__name__})")
    if len(silent) * 2 >= len(urls):
        raise RefusedToServe(
            f"NATS monitors don't say whether JetStream syncs: {', '.join(silent)}; "
            "set HELIOGRAPH_NATS_MONITOR_URLS to the monitors of all NATS servers"
        )
