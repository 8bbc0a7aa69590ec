"""NATS stops after a burst: what was acknowledged reaches deaf devices by the sweep alone, within five seconds."""

import asyncio
from collections.abc import Sequence

from tests.chaos.messages.devices import MeshDevice, Shown
from tests.chaos.messages.sends import send
from tests.chaos.messages.world import World

LATE_SECONDS = 5.0


async def stop_nats(world: World, devices: Sequence[Shown]) -> None:
    """Count what came late."""
    check = world.check
    seconds = 8.0 if check.quick else 60.0
    check.say(f"NATS stops for {seconds:.0f} s after a last burst; announcements are lost")
    for device in devices:
        if isinstance(device, MeshDevice):
            device.is_deaf = True
    await asyncio.sleep(2.0)  # until every device has come again, without hearing
    before = len(world.sent)

    async def burst(sender: int) -> None:
        world.act_as(sender)
        recipient = world.users[(world.users.index(sender) + 1) % len(world.users)]
        world.sent.append(await send(world, sender, recipient, f"last of {sender}"))

    await asyncio.gather(*(burst(sender) for sender in world.users))
    await asyncio.sleep(0.3)
    check.fault("nats_stopped")
    await world.stack.hold("nats")
    await asyncio.sleep(seconds)
    late = [
        sent.message_id
        for sent in world.sent[before:]
        for device in devices
        if str(device.user_id) in sent.conversation_id.split("-")
        and device.arrivals.get(sent.message_id, float("inf")) - sent.acked > LATE_SECONDS
    ]
    check.none_may_be("late", len(late), *late)
    world.stack.release("nats")
    await world.stack.wait_ready("nats")
