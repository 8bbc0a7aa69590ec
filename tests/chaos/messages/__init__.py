"""Messages: never lost, never doubled, in order, without a hole, whatever dies.

Writers send to one another, at dm_svc and through gateways, and repeat each send with the same key until it is
acknowledged, while processes and servers are killed and frozen. Devices follow inboxes, over NATS as a gateway does and
as clients of the gateways, and are cut again and again. Afterwards the whole history is read and compared with what was
acknowledged. Then NATS is stopped, and what was acknowledged just before must still arrive within five seconds. At the
end, where the machine has loop devices and we are root, the power is cut.
"""

from collections.abc import Sequence

from tests.chaos.check import Check
from tests.chaos.messages.compare import compare
from tests.chaos.messages.devices import Shown
from tests.chaos.messages.nats_away import stop_nats
from tests.chaos.messages.power_cut import cut_power
from tests.chaos.messages.storming import storm
from tests.chaos.messages.world import World

SABOTAGES = {
    "redelivering_consumer": "the log is read with a consumer that redelivers (M1)",
    "position_apart": "the position is committed before the rows (M2)",
    "reply_before_ack": "a send is acknowledged before the log has it (M2)",
    "sync_interval_default": "the log acknowledges before it syncs; needs a power cut (M2)",
    "new_key_per_retry": "a retry bears a new key (M3)",
    "sweep_off": "nobody compares the heads of inboxes (M4)",
    "skip_holes": "a device shows what comes, without filling holes (M5)",
    "counter_unread": "unread messages are counted, not derived from the pointer (M6)",
}


async def run(check: Check) -> None:
    """Send under a storm, then compare; then without NATS; then cut the power."""
    if check.sabotage != "sync_interval_default":
        await storm(check, _afterwards)
    if check.sabotage in (None, "sync_interval_default"):
        await cut_power(check)


async def _afterwards(world: World, devices: Sequence[Shown]) -> None:
    await compare(world, devices)
    if world.check.sabotage in (None, "sweep_off"):
        await stop_nats(world, devices)
