"""Messages on a NATS cluster of three with three copies of each stream: the same promises, whichever node dies.

The storm of `messages`, in which the node that leads a partition of the log is killed too, and any other. Before
counting, the copies have ten seconds to find together.
"""

import asyncio
from collections.abc import Sequence

from tests.chaos.check import Check
from tests.chaos.messages.compare import compare
from tests.chaos.messages.devices import Shown
from tests.chaos.messages.storming import storm
from tests.chaos.messages.world import World

SABOTAGES = {
    "reply_before_ack": "a send is acknowledged before the log has it (M2)",
    "redelivering_consumer": "the log is read with a consumer that redelivers (M1)",
}
NODES = 3
TOGETHER_SECONDS = 10.0


async def run(check: Check) -> None:
    """Send under a storm, then compare."""
    await storm(check, _afterwards, nats_nodes=NODES)


async def _afterwards(world: World, devices: Sequence[Shown]) -> None:
    await asyncio.sleep(TOGETHER_SECONDS)
    await compare(world, devices)
