"""Three times what the system can do: A2, it still does 80 % of it, refuses the rest at once, and recovers.

One process of every role. Home screens first, over HTTP; then sends, over the sockets of the senders. First the
ceiling, by as many apps as it takes that each ask again as soon as they have an answer; then three times as many
requests a second, in open loop, whatever the answers; then a third of the ceiling again. An answer counts when it is a
whole one within `GOOD_SECONDS` of the moment at which it was meant to be asked for; a refusal when it comes within
50 ms.
"""

import gc
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson

from benchmarks.load import percentile
from tests.chaos import soak
from tests.chaos.check import Check
from tests.chaos.overload.crowd import Crowd, Way
from tests.chaos.overload.ways import Next, OverHttp, over_sockets

SABOTAGES = {"no_admission": "the gateway takes whatever comes"}

READERS = 12
WRITERS = 112
"""Who writes waits for a disk; what waits together is synced together."""
SOCKETS = 2
"""Of each person; each may have 20 operations open."""
TIMES = 3.0
LEAST_SHARE = 0.8
REFUSED_MS = 50.0
RECOVERY_SECONDS = 10.0
QUIET_SHARE = 0.3
NORMAL_TIMES = 3.0
"""How many times the latency before the overload is normal again."""
NORMAL_MS = 100.0
"""Below that, it is normal in any case: machines differ."""
FULL_SECONDS = 30.0
QUICK_SECONDS = 10.0
ENVIRONMENT = {"HELIOGRAPH_DM_SENDS_PER_SECOND": "1000000"}
"""A few dozen people play a crowd."""
_KEY = str(uuid.UUID(int=0)).encode()
"""Stands for the key in a payload that is made once and sent with many keys."""


async def run(check: Check) -> None:
    """Find the ceiling, pass it, come back; of either kind, on a stack of its own."""
    gc.disable()  # a pass over all that was noted would hold the crowd for 70 ms
    async with _populated(check) as (address, apps):
        homes = OverHttp(address, _homes(address, apps.tokens))
        await _overload(check, "home", READERS, homes)
        homes.close()
    async with _populated(check) as (address, apps):
        people = [(token, _sends(other)) for token, other in apps.writers * SOCKETS]
        async with over_sockets(address, people) as sends:
            await _overload(check, "send", WRITERS, sends)


@asynccontextmanager
async def _populated(check: Check) -> AsyncIterator[tuple[str, soak.Apps]]:
    """Start everything; gives the address of the gateway, and the people."""
    rig = str(Path(__file__).parents[1] / "rigs" / "overload_sabotage")
    broken = {"OVERLOAD_SABOTAGE": check.sabotage or "", "PYTHONPATH": soak.paths(rig)} if check.sabotage else {}
    async with check.stack(environment={**ENVIRONMENT, **broken}) as stack:
        address = stack.state.addresses["gateway"]
        async with soak.Apps(stack, [address], is_patient=True) as apps:
            await apps.populate()
        yield address, apps


async def _overload(check: Check, kind: str, apps: int, way: Way) -> None:
    seconds = QUICK_SECONDS if check.quick else FULL_SECONDS
    crowd = Crowd(way)
    await crowd.insist(apps, seconds / 2)  # caches fill, code warms up
    ceiling = (await crowd.insist(apps, seconds)).good_per_s
    check.say(f"The ceiling: {ceiling:.0f} {kind}/s")
    before = await crowd.come(QUIET_SHARE * ceiling, seconds)
    over = await crowd.come(TIMES * ceiling, seconds)
    after = await crowd.come(QUIET_SHARE * ceiling, RECOVERY_SECONDS + seconds / 2)
    recovered = after.since(RECOVERY_SECONDS)
    normal = max(NORMAL_TIMES * before.p99_ms, NORMAL_MS)
    refused = tuple(sorted(over.refused_ms))
    for name, value in {
        "ceiling_per_s": round(ceiling, 1),
        "asked_per_s": round(over.asked / over.seconds, 1),
        "good_per_s": round(over.good_per_s, 1),
        "share_of_ceiling": round(over.good_per_s / ceiling, 3),
        "refused": len(refused),
        "refused_p99_ms": round(percentile(refused, 99), 1),
        "refused_p50_ms": round(percentile(refused, 50), 1),
        "driver_late_p99_ms": round(percentile(tuple(sorted(over.driver_late_ms)), 99), 1),
        "late_or_broken": over.bad,
        "before_p99_ms": round(before.p99_ms, 1),
        "over_p99_ms": round(over.p99_ms, 1),
        "after_p99_ms": round(recovered.p99_ms, 1),
    }.items():
        check.count(f"{kind}_{name}", value)
    share = over.good_per_s / ceiling
    check.require(share >= LEAST_SHARE, f"{kind}: only {share:.0%} of the ceiling")
    check.require(len(refused) > 0, f"{kind}: nothing was refused: that was no overload, or everybody waited")
    check.require(percentile(refused, 99) <= REFUSED_MS, f"{kind}: refusals took too long")
    check.require(recovered.bad == 0 and not recovered.refused_ms, f"{kind}: 10 s later requests still fail")
    check.require(recovered.p99_ms <= normal, f"{kind}: 10 s later the p99 is {recovered.p99_ms:.0f} ms")


def _homes(address: str, tokens: list[str]) -> Next:
    draw = random.Random(5)
    body = orjson.dumps({"query": soak.HOME})
    requests = [
        (
            f"POST /graphql HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        + body
        for token in tokens
    ]
    return lambda: draw.choice(requests)


def _sends(recipient: str) -> Next:
    """Return sends to somebody, each with a key of its own."""
    given = {"recipientId": recipient, "content": "hello", "clientMessageId": _KEY.decode()}
    payload = orjson.dumps({"query": soak.SEND, "variables": {"in": given}})
    return lambda: payload.replace(_KEY, str(uuid.uuid4()).encode())
