"""The power is cut: what was acknowledged is in the history, also what no worker had persisted yet.

The servers keep their data on a file system in an image. People write; then the log workers are held and people write
on, so that these messages are in the log alone. All servers are stopped where they stand, the image is copied (it holds
only what reached the device), and everything is started again on the copy.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web

from devstack.folder import temporary_folder
from devstack.ports import HOST
from devstack.stack import Stack
from heliograph.dm.v1 import message_service_pb2
from tests.chaos.check import Check
from tests.chaos.messages.compare import compare
from tests.chaos.messages.sends import send
from tests.chaos.messages.world import ENVIRONMENT, World, open_world
from tests.chaos.power import can_cut_power, copy_sparse, make_file_system, mounted

SERVERS = ("postgres", "nats", "redis")
WRITERS = 16
UNSYNCED = {"nats": {"sync_interval": "2m"}}
"""The server's default: it syncs two minutes after it has acknowledged."""


async def cut_power(check: Check) -> None:
    """Write, cut the power, start on what is left, compare."""
    if not can_cut_power():
        check.say("SKIPPED: the power cut needs root and loop devices (mount -o loop), which this machine refuses")
        check.require(
            check.sabotage != "sync_interval_default", "without a power cut this sabotage can't be told from the truth"
        )
        return
    is_sabotaged = check.sabotage == "sync_interval_default"
    async with _monitors() as lying:
        environment = {**ENVIRONMENT, **({"HELIOGRAPH_NATS_MONITOR_URLS": lying} if is_sabotaged else {})}
        settings = UNSYNCED if is_sabotaged else {}
        with temporary_folder("power") as folder:
            image, copy, disk = folder / "disk.img", folder / "after.img", folder / "disk"
            disk.mkdir(mode=0o755)
            make_file_system(image)

            def stack() -> Stack:
                return Stack(
                    disk / "state", services=["dm_svc"], servers=SERVERS, environment=environment, settings=settings
                )

            with mounted(image, disk):
                async with AsyncExitStack() as exits:
                    world = await open_world(exits, check, await exits.enter_async_context(stack()))
                    await _write(world)
                    for name in (*SERVERS, "dm_svc.serve"):
                        world.stack.pause(name)
                    check.fault("power_cut")
                    await asyncio.to_thread(copy_sparse, image, copy)
            with mounted(copy, disk):
                async with AsyncExitStack() as exits:
                    after = await open_world(exits, check, await exits.enter_async_context(stack()))
                    after.sent = world.sent
                    await compare(after, [])


async def _write(world: World) -> None:
    """Write with and without log workers."""
    check = world.check
    pairs = [(one, other) for one in world.users for other in world.users if one != other]
    # Every conversation is active before the workers are held: later sends wait for none.
    await _send_each(world, pairs)
    for conversation_id in {sent.conversation_id for sent in world.sent}:
        await _read(world, conversation_id)
    await world.stack.hold("dm_svc.work")
    before = len(world.sent)
    wanted = 500 if check.quick else 2_000
    await _send_each(world, [random.choice(pairs) for _ in range(wanted)])
    check.say(f"{before} messages persisted and {len(world.sent) - before} in the log alone; the power is cut")


async def _read(world: World, conversation_id: str) -> None:
    """Read a page, which waits until all that was acknowledged is in the tables."""
    world.act_as(int(conversation_id.partition("-")[0]))
    await world.messages.ListMessages(
        message_service_pb2.ListMessagesRequest(conversation_id=conversation_id, page_size=1)
    )


async def _send_each(world: World, pairs: list[tuple[int, int]]) -> None:
    left = iter(enumerate(pairs, start=len(world.sent)))

    async def writer() -> None:
        for number, (sender, recipient) in left:
            world.act_as(sender)
            world.sent.append(await send(world, sender, recipient, f"before the cut {number}"))

    async with asyncio.TaskGroup() as group:
        for _ in range(WRITERS):
            group.create_task(writer())


@asynccontextmanager
async def _monitors() -> AsyncIterator[str]:
    """A monitor that says of any NATS server that it syncs: dm_svc would refuse to serve on the sabotaged one."""

    async def varz(_request: web.Request) -> web.Response:
        return web.json_response({"jetstream": {"config": {"sync_always": True}}})

    application = web.Application()
    application.router.add_get("/varz", varz)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
