"""Asks NATS whether it syncs before it acknowledges (promise A3)."""

from typing import Any

import aiohttp

from mesh.errors import RefusedToServe
from mesh.jetstream import refuse_unless_syncing

ANSWER_SECONDS = 5.0


async def refuse_unless_log_is_durable(monitor_urls: str) -> None:
    """Raise `RefusedToServe` unless every server's own report says that it syncs every write before its ack."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for url in monitor_urls.split(","):

            async def report(address: str = url.strip()) -> dict[str, Any]:
                async with session.get(f"{address.rstrip('/')}/varz") as answer:
                    answer.raise_for_status()
                    body: dict[str, Any] = await answer.json()
                return body

            try:
                await refuse_unless_syncing(report)
            except (aiohttp.ClientError, TimeoutError) as error:
                raise RefusedToServe(
                    f"the NATS monitor at {url} does not say whether JetStream syncs: {type(error).__name__}; "
                    "set HELIOGRAPH_NATS_MONITOR_URLS to the monitors of all NATS servers"
                ) from error
