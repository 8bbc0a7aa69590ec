"""A storm over everything that a message passes, while people write and devices follow."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from devstack.stack import Stack
from dm_svc.events import log_stream
from mesh import jetstream
from tests.chaos.check import Check
from tests.chaos.messages.devices import GatewayDevice, MeshDevice, Shown
from tests.chaos.messages.sends import WRITERS, write
from tests.chaos.messages.world import ENVIRONMENT, PEOPLE, World, open_world
from tests.chaos.storm import Fault, Storm, freeze, keep_down, kill

SENDS = 20_000
FAULTS = 50
LONGEST_SECONDS = 900.0
OVER_EVENTS = 4
"""Every so many-th client of the gateways follows over Server-Sent Events."""
PROCESSES = ("dm_svc.serve", "dm_svc.work", "dm_svc.work.2", "gateway.serve", "gateway.serve.2")

Afterwards = Callable[[World, Sequence[Shown]], Awaitable[None]]


async def storm(check: Check, afterwards: Afterwards, *, nats_nodes: int = 1) -> None:
    """Send under a storm, wait until all is up again, then do what comes afterwards."""
    sabotaged = {"DM_SABOTAGE": check.sabotage, "PYTHONPATH": _with_rig()} if check.sabotage else {}
    async with AsyncExitStack() as exits:
        stack = await exits.enter_async_context(
            check.stack(
                services=["dm_svc", "gateway"],
                servers=["postgres", "nats", "redis"],
                replicas={"dm_svc.work": 2, "gateway.serve": 2},
                environment={**ENVIRONMENT, **sabotaged},
                nats_nodes=nats_nodes,
            )
        )
        world = await open_world(exits, check, stack)
        devices = _devices(world)
        following = [asyncio.create_task(device.run()) for device in devices]
        exits.push_async_callback(_end, following)
        check.say(
            f"{WRITERS} writers, half of them through two gateways; {len(devices)} devices of {PEOPLE} people, half of "
            "them clients of the gateways; two log workers"
        )
        sends, faults, longest = (1_000, 12, 90.0) if check.quick else (SENDS, FAULTS, LONGEST_SECONDS)
        async with Storm(check, _faults(stack, nats_nodes), every_seconds=(0.3, 1.5)):
            await write(world, sends=sends, faults=faults, longest_seconds=longest)
        for process in (*stack.nats.node_names, *PROCESSES):
            await stack.wait_ready(process)
        await afterwards(world, devices)


def _devices(world: World) -> list[MeshDevice | GatewayDevice]:
    mesh = [MeshDevice(world, user_id) for user_id in world.users]
    clients = [
        GatewayDevice(world, user_id, over_events=number % OVER_EVENTS == 0)
        for number, user_id in enumerate(world.users)
    ]
    return [*mesh, *clients]


def _faults(stack: Stack, nats_nodes: int) -> Mapping[str, Fault]:
    faults: dict[str, Fault] = {
        "kill_dm_serve": partial(kill, stack, "dm_svc.serve"),
        "kill_dm_worker": partial(kill, stack, "dm_svc.work"),
        "kill_dm_worker_2": partial(kill, stack, "dm_svc.work.2"),
        "freeze_dm_worker_3_s": partial(freeze, stack, "dm_svc.work", 3.0),
        "freeze_dm_worker_2": partial(freeze, stack, "dm_svc.work.2", 1.0),
        "freeze_dm_serve": partial(freeze, stack, "dm_svc.serve", 1.0),
        "kill_gateway": partial(kill, stack, "gateway.serve"),
        "kill_gateway_2": partial(kill, stack, "gateway.serve.2"),
        "freeze_gateway": partial(freeze, stack, "gateway.serve", 1.0),
        "kill_postgres": partial(kill, stack, "postgres"),
        "kill_redis": partial(kill, stack, "redis"),
    }
    if nats_nodes == 1:
        faults |= {"kill_nats": partial(kill, stack, "nats"), "nats_down_1_s": partial(keep_down, stack, "nats", 1.0)}
    else:
        faults |= {
            "kill_nats_leader": lambda: _kill_leader(stack),
            "kill_nats_node": lambda: kill(stack, random.choice(stack.nats.node_names)),
            "nats_node_down_5_s": lambda: keep_down(stack, random.choice(stack.nats.node_names), 5.0),
        }
    return faults


async def _kill_leader(stack: Stack) -> None:
    """Kill the node that leads a partition of the log."""
    stream = log_stream(random.randrange(8))
    async with jetstream.connect(stack.nats.admin_url, name="storm") as connected:
        cluster = (await connected.context.stream_info(stream)).cluster
    number = int((cluster.leader or "1").rpartition("-")[2])
    await kill(stack, stack.nats.node_names[number - 1])


def _with_rig() -> str:
    checkout = Path(__file__).parents[3]
    return ":".join(map(str, [checkout / "tests/chaos/rigs/dm_sabotage", checkout, checkout / "gen"]))


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):  # a device that died has shown nothing since
            raise outcome
