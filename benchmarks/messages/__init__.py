"""Messages: acknowledged and delivered, beside raw publishing to the same JetStream with the same sync.

At dm_svc's gRPC face, by people who know one another, a message counts when its announcement has reached a listener on
`dm.inbox.*`, as a gateway's hub has it; through a gateway, when it is on the recipient's socket. Reference: payloads of
the same size published with ids to as many streams of the same server, by this process, at once. The driver, the
services and the servers share the cores.
"""

import time
import uuid

from benchmarks.bench import Bench
from benchmarks.load import closed_loop, open_loop, percentile
from benchmarks.measure import cpu_seconds, interleaved, memory_mib
from benchmarks.messages.history import measure_history
from benchmarks.messages.idle import measure_idle
from benchmarks.messages.rig import FIRST_USER, STREAMS, Rig, open_rig
from benchmarks.messages.through_gateway import measure_gateway

IN_FLIGHT = 128
PAYLOAD_BYTES = 220
"""About the size of a log entry with a short text."""


async def run(bench: Bench) -> None:
    """Measure capacity beside the reference, delivery, one hot conversation, the gateway, idle inboxes, histories."""
    async with open_rig(bench) as rig:
        listening = await rig.jetstream.hear("dm.inbox.*", rig.hear, pending_limit=1_000_000)
        ceiling = await _capacity(bench, rig)
        await _delivery(bench, rig, ceiling)
        await _hot(bench, rig)
        # It takes its share of the cores, and the sockets tell by themselves.
        await listening.unsubscribe()
        await measure_gateway(bench, rig)
        await measure_idle(bench, rig)
        await measure_history(bench, rig)


async def _capacity(bench: Bench, rig: Rig) -> float:
    seconds = bench.size(6, 4)
    people = bench.size(20_000, 2_000)
    bench.say(f"Sends among {people // 2} conversations, {IN_FLIGHT} in flight, and raw publishes to {STREAMS} streams")

    async def sent() -> float:
        before = len(rig.arrived)
        began = time.monotonic()

        async def one(number: int) -> None:
            sender = FIRST_USER + 2 * (number % (people // 2))
            await rig.send(sender, sender + 1)

        outcome = await closed_loop(one, callers=IN_FLIGHT, seconds=seconds)
        bench.require(outcome.failed == 0, f"every send succeeds: {dict(outcome.failures)}")
        await rig.wait(lambda: len(rig.arrived) - before >= outcome.answered)
        return outcome.answered / (time.monotonic() - began)

    async def raw() -> float:
        async def one(number: int) -> None:
            await rig.jetstream.publish(f"raw.{number % STREAMS}.x", bytes(PAYLOAD_BYTES), message_id=str(uuid.uuid4()))

        return (await closed_loop(one, callers=IN_FLIGHT, seconds=seconds)).per_s

    used = {name: cpu_seconds(rig.stack.pid(name) or 0) for name in ("dm_svc.serve", "dm_svc.work")}
    compared = await interleaved(bench.size(3, 2), sent=sent, raw=raw)
    busy = {name: cpu_seconds(rig.stack.pid(name) or 0) - before for name, before in used.items()}
    bench.figure("grpc_messages_per_s", compared.median("sent"), "acknowledged and delivered to the listener")
    bench.figure("raw_jetstream_per_s", compared.median("raw"), "the reference: nothing but the synced log")
    bench.figure("ratio_to_raw_jetstream", compared.ratio("sent", "raw"))
    for name, cpu in busy.items():
        bench.figure(f"{name.replace('.', '_')}_cpu_ms", cpu * 1000 / max(len(rig.arrived), 1), "per message")
        bench.figure(f"{name.replace('.', '_')}_memory_mib", memory_mib(rig.stack.pid(name) or 0))
    return compared.median("sent")


async def _delivery(bench: Bench, rig: Rig, ceiling: float) -> None:
    rate = ceiling / 2
    bench.say(f"From the intended send to the recipient's listener at {rate:.0f}/s, half the ceiling (open loop)")
    intended: dict[str, float] = {}

    async def one(number: int) -> None:
        at = time.monotonic()
        sender = FIRST_USER + 2 * (number % 1_000)
        intended[await rig.send(sender, sender + 1)] = at

    outcome = await open_loop(one, per_s=rate, seconds=bench.size(10, 4))
    await rig.wait(lambda: intended.keys() <= rig.arrived.keys())
    delays = tuple(sorted((rig.arrived[key] - at) * 1000 for key, at in intended.items()))
    bench.figure("ack_p50_ms", outcome.percentile_ms(50), "of the acknowledgement")
    bench.figure("ack_p99_ms", outcome.percentile_ms(99), f"the driver's own lateness: {outcome.driver_late_ms:.1f} ms")
    bench.figure("listener_p50_ms", percentile(delays, 50), "send -> recipient's listener")
    bench.figure("listener_p99_ms", percentile(delays, 99))
    bench.require(outcome.failed == 0, f"every send succeeds: {dict(outcome.failures)}")


async def _hot(bench: Bench, rig: Rig) -> None:
    bench.say("One conversation: all sends go to one partition and one pair of inboxes")

    async def one(number: int) -> None:
        pair = (FIRST_USER, FIRST_USER + 1)
        await rig.send(pair[number % 2], pair[1 - number % 2])

    outcome = await closed_loop(one, callers=IN_FLIGHT, seconds=bench.size(6, 4))
    bench.figure("hot_conversation_per_s", outcome.per_s, "acknowledged, one conversation")
    bench.require(outcome.failed == 0, f"every send succeeds: {dict(outcome.failures)}")
