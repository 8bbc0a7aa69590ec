"""Messages: acknowledged and delivered, beside raw publishing to the same JetStream with the same sync.

At dm_svc's gRPC face, by people who know one another, a message counts when its announcement has reached a listener on
`dm.inbox.*`, as a gateway's hub has it; through a gateway, when it is on the recipient's socket. Reference: payloads of
the same size published with ids to as many streams of the same server, by this process, at once. The driver, the
services and the servers share the cores; a table says what each took for a message.
"""

import asyncio
import time
import uuid

from benchmarks.bench import Bench
from benchmarks.load import closed_loop, percentile
from benchmarks.measure import interleaved, memory_mib
from benchmarks.messages.history import measure_history
from benchmarks.messages.idle import measure_idle
from benchmarks.messages.rig import FIRST_USER, STREAMS, Rig, open_rig
from benchmarks.messages.sending import send_at
from benchmarks.messages.spent import Spent
from benchmarks.messages.through_gateway import measure_gateway

IN_FLIGHT = 256
"""Enough that what waits for the log's disk goes in full batches: with half of it a tenth less gets through."""
PAYLOAD_BYTES = 220
"""About the size of a log entry with a short text."""


async def run(bench: Bench) -> None:
    """Measure capacity beside the reference, delivery, one hot conversation, the gateway, idle inboxes, histories."""
    async with open_rig(bench) as rig:
        listening = await rig.jetstream.hear("dm.inbox.*", rig.hear)
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
    pairs = bench.size(10_000, 1_000)
    await _first_messages(bench, rig, pairs)
    bench.say(f"Sends among {pairs} conversations, {IN_FLIGHT} in flight, and raw publishes to {STREAMS} streams")

    async def sent() -> float:
        before = len(rig.arrived)
        spent = Spent(rig)
        began = time.monotonic()

        async def one(number: int) -> None:
            sender = FIRST_USER + 2 * (number % pairs)
            await rig.send(sender, sender + 1)

        outcome = await closed_loop(one, callers=IN_FLIGHT, seconds=seconds)
        bench.require(outcome.failed == 0, f"every send succeeds: {dict(outcome.failures)}")
        await rig.wait(lambda: len(rig.arrived) - before >= outcome.answered)
        taken = time.monotonic() - began
        spent.show(bench, "grpc", outcome.answered)
        return outcome.answered / taken

    async def raw() -> float:
        async def one(number: int) -> None:
            await rig.jetstream.publish(f"raw.{number % STREAMS}.x", bytes(PAYLOAD_BYTES), message_id=str(uuid.uuid4()))

        return (await closed_loop(one, callers=IN_FLIGHT, seconds=seconds)).per_s

    compared = await interleaved(bench.size(3, 2), sent=sent, raw=raw)
    bench.figure("grpc_messages_per_s", compared.median("sent"), "acknowledged and delivered to the listener")
    bench.figure("raw_jetstream_per_s", compared.median("raw"), "the reference: nothing but the synced log")
    bench.figure("ratio_to_raw_jetstream", compared.ratio("sent", "raw"))
    for name in ("dm_svc.serve", "dm_svc.work"):
        bench.figure(f"{name.replace('.', '_')}_memory_mib", memory_mib(rig.stack.pid(name) or 0))
    return compared.median("sent")


async def _first_messages(bench: Bench, rig: Rig, pairs: int) -> None:
    """Each opens a conversation, and its sender's token is met for the first time: dearer than any later one."""
    bench.say(f"The first message of {pairs} conversations")
    numbers = iter(range(pairs))

    async def caller() -> None:
        for number in numbers:
            await rig.send(FIRST_USER + 2 * number, FIRST_USER + 2 * number + 1)

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(caller())
    await rig.wait(lambda: len(rig.arrived) >= pairs)
    bench.figure("first_messages_per_s", pairs / (time.monotonic() - began), "each between two people who never wrote")


async def _delivery(bench: Bench, rig: Rig, ceiling: float) -> None:
    rate = ceiling / 2
    bench.say(f"From the intended send to the recipient's listener at {rate:.0f}/s, half the ceiling (open loop)")

    async def send(number: int) -> str:
        sender = FIRST_USER + 2 * (number % 1_000)
        return await rig.send(sender, sender + 1)

    outcome, intended = await send_at(rate, send, seconds=bench.size(10, 4))
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
