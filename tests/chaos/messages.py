"""Messages: never lost, never doubled, in order, without a hole, whatever dies.

Writers send to one another and repeat each send with the same key until it is acknowledged, while processes and
servers are killed and frozen. Devices follow inboxes as a gateway does (hear, replay, fill holes, sweep), and are cut
again and again. Afterwards the whole history is read and compared with what was acknowledged. At the end NATS is
stopped, and what was acknowledged just before must still arrive within five seconds.
"""

import asyncio
import random
import time
import uuid
from collections import Counter, defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devstack.certificates import Authority
from devstack.keys import mint_token
from devstack.services import Service
from devstack.stack import Stack
from heliograph.dm.v1 import (
    inbox_service_pb2,
    inbox_service_pb2_grpc,
    message_admin_service_pb2,
    message_admin_service_pb2_grpc,
    message_service_pb2,
    message_service_pb2_grpc,
)
from heliograph.events.v1 import message_events_pb2
from heliograph.feed.v1 import graph_service_pb2, graph_service_pb2_grpc, relation_pb2
from mesh import auth, jetstream
from mesh.auth import TokenVerifier, Viewer
from mesh.config import TlsConfig, TokenConfig
from mesh.errors import HeliographError
from mesh.grpc import client, server
from mesh.grpc.server import Service as GrpcService
from mesh.grpc.server import allow
from mesh.grpc.tls import Credentials
from mesh.health import Health
from mesh.jetstream import JetStream
from tests.chaos.check import Check
from tests.chaos.storm import Storm, freeze, keep_down, kill

SABOTAGES = {
    "redelivering_consumer": "the log is read with a consumer that redelivers (M1)",
    "position_apart": "the position is committed before the rows (M2)",
    "reply_before_ack": "a send is acknowledged before the log has it (M2)",
    "new_key_per_retry": "a retry bears a new key (M3)",
    "sweep_off": "nobody compares the heads of inboxes (M4)",
    "skip_holes": "a device shows what comes, without filling holes (M5)",
    "counter_unread": "unread messages are counted, not derived from the pointer (M6)",
}
IN_THE_RIG = {"redelivering_consumer", "position_apart", "reply_before_ack", "counter_unread"}

PEOPLE = 16
WRITERS = 16
SENDS = 20_000
FAULTS = 50
LONGEST_SECONDS = 900.0
SWEEP_SECONDS = 2.0
QUIET_SECONDS = 60.0
CUT_SHARE = 0.05
CUT_SECONDS = (0.02, 0.1)
GRAPH = "heliograph.feed.v1.GraphService"


class EveryoneKnowsEveryone(graph_service_pb2_grpc.GraphServiceServicer):
    """feed_svc, as far as dm_svc asks it."""

    async def CheckRelations(self, request: Any, context: Any) -> graph_service_pb2.CheckRelationsResponse:
        return graph_service_pb2.CheckRelationsResponse(
            relations=[
                relation_pb2.Relation(
                    subject_id=pair.subject_id, object_id=pair.object_id, object_exists=True, is_followed_by=True
                )
                for pair in request.pairs
            ]
        )


@dataclass
class Sent:
    """One acknowledged send."""

    message_id: str
    conversation_id: str
    sender: int
    issued: float
    acked: float
    tries: int


@dataclass
class World:
    """What takes part in a run."""

    check: Check
    stack: Stack
    name: str
    channel: Any
    admin: Any
    notices: JetStream
    tokens: dict[int, str]
    sent: list[Sent] = field(default_factory=list)
    cuts: int = 0
    cut_calls: int = 0

    def act_as(self, user_id: int) -> None:
        auth.set_viewer(Viewer(user_id, 2**40, self.tokens[user_id]))

    @property
    def messages(self) -> message_service_pb2_grpc.MessageServiceStub:
        return message_service_pb2_grpc.MessageServiceStub(self.channel)

    @property
    def inboxes(self) -> inbox_service_pb2_grpc.InboxServiceStub:
        return inbox_service_pb2_grpc.InboxServiceStub(self.channel)


@dataclass
class Device:
    """Follows one inbox as a gateway does, and remembers what it was shown."""

    world: World
    user_id: int
    shown: list[int] = field(default_factory=list)
    message_ids: list[str] = field(default_factory=list)
    arrivals: dict[str, float] = field(default_factory=dict)
    is_deaf: bool = False
    """Whether announcements are lost on their way."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def cursor(self) -> int:
        return self.shown[-1] if self.shown else 0

    async def run(self) -> None:
        """Connect, follow for a while, be cut, come again from the cursor."""
        self.world.act_as(self.user_id)
        draw = random.Random()
        while True:
            try:
                await self._follow(draw.uniform(0.3, 1.5))
            except HeliographError:
                await asyncio.sleep(0.1)
            self.world.cuts += 1

    async def _follow(self, seconds: float) -> None:
        subscription = None if self.is_deaf else await self._hear()
        try:
            await self._replay()
            end = time.monotonic() + seconds
            while time.monotonic() < end or self.is_deaf:
                await asyncio.sleep(min(SWEEP_SECONDS, max(end - time.monotonic(), 0.01)) if not self.is_deaf else 1.0)
                if self.world.check.sabotage != "sweep_off":
                    await self._sweep()
        finally:
            if subscription is not None:
                try:
                    await subscription.unsubscribe()
                except Exception:  # the connection may be gone
                    self.world.check.say("a device could not say goodbye")

    async def _hear(self) -> Any:
        try:
            return await self.world.notices.hear(f"dm.inbox.{self.user_id}", self._notice)
        except HeliographError:
            return None  # NATS is away: the sweep does without

    async def _notice(self, message: Any) -> None:
        if self.is_deaf:
            return
        event = message_events_pb2.InboxEntriesDelivered.FromString(message.data)
        self.world.act_as(self.user_id)
        async with self.lock:
            if event.entries[0].useq > self.cursor + 1 and self.world.check.sabotage != "skip_holes":
                try:
                    await self._fill()
                except HeliographError:
                    return  # the sweep finds it
            self._show(event.entries)

    async def _sweep(self) -> None:
        request = inbox_service_pb2.GetInboxHeadsRequest(user_ids=[self.user_id])
        (head,) = (await self.world.inboxes.GetInboxHeads(request)).heads
        if head.head_useq > self.cursor:
            await self._replay()

    async def _replay(self) -> None:
        if self.world.check.sabotage == "sweep_off" and self.is_deaf:
            return
        async with self.lock:
            await self._fill()

    async def _fill(self) -> None:
        while True:
            reply = await self.world.inboxes.ReplayInbox(
                inbox_service_pb2.ReplayInboxRequest(after_useq=self.cursor, page_size=500)
            )
            if reply.resync_reason:
                raise AssertionError(f"a cursor of this inbox was refused: {reply}")
            self._show(reply.entries)
            if reply.is_caught_up:
                return

    def _show(self, entries: Any) -> None:
        skips = self.world.check.sabotage == "skip_holes"
        for entry in entries:
            if entry.useq <= self.cursor or (entry.useq > self.cursor + 1 and not skips):
                continue
            self.shown.append(entry.useq)
            if entry.HasField("message_received"):
                self.message_ids.append(entry.message_received.message_id)
                self.arrivals[entry.message_received.message_id] = time.monotonic()


async def run(check: Check) -> None:
    """Send under a storm, then compare."""
    in_rig = check.sabotage in IN_THE_RIG
    name = "dm_rig" if in_rig else "dm_svc"
    rig = Service(name, folder=Path(__file__).parent / "rigs")
    async with AsyncExitStack() as exits:
        stack = await exits.enter_async_context(
            check.stack(
                services=[rig if in_rig else "dm_svc"],
                servers=["postgres", "nats", "redis"],
                replicas={f"{name}.work": 2},
                environment={
                    "RIG_SABOTAGE": check.sabotage or "",
                    "HELIOGRAPH_DM_SENDS_PER_SECOND": "1000000",
                    "HELIOGRAPH_S3_ENDPOINT": "http://127.0.0.1:9",
                    "HELIOGRAPH_S3_ACCESS_KEY": "unused",
                    "HELIOGRAPH_S3_SECRET_KEY": "unused",
                },
            )
        )
        world = await _world(exits, check, stack, name)
        users = list(world.tokens)
        devices = [Device(world, user_id) for user_id in users for _ in range(2)]
        following = [asyncio.create_task(device.run()) for device in devices]
        exits.push_async_callback(_end, following)
        check.say(f"{WRITERS} writers, {len(devices)} devices of {PEOPLE} people; two log workers")
        async with Storm(check, _faults(stack, name), every_seconds=(0.3, 1.5)):
            await _write(world, users)
        for process in (f"{name}.serve", f"{name}.work", f"{name}.work.2"):
            await stack.wait_ready(process)
        await _compare(world, users, devices)
        if check.sabotage in (None, "sweep_off"):
            await _stop_nats(world, users, devices)


async def _world(exits: AsyncExitStack, check: Check, stack: Stack, name: str) -> World:
    authority = Authority(stack.folder.path / "tls")

    def tls(of: str) -> Credentials:
        certificate, key = authority.issue(of)
        return Credentials.from_config(TlsConfig(authority.file, certificate, key))

    environment = stack.state.environment(f"{name}.serve")
    verifier = TokenVerifier.from_config(TokenConfig(Path(environment["HELIOGRAPH_JWT_KEYS"]), "heliograph"))
    graph = EveryoneKnowsEveryone()
    await exits.enter_async_context(
        server.serve(
            listen=environment["HELIOGRAPH_FEED_ADDRESS"],
            services=[
                GrpcService(GRAPH, lambda to: graph_service_pb2_grpc.add_GraphServiceServicer_to_server(graph, to))
            ],
            callers=allow(GRAPH, by=(name,)),
            credentials=tls("feed_svc"),
            verifier=verifier,
            health=Health(),
            reflected=False,
        )
    )
    address = environment["HELIOGRAPH_LISTEN"]
    services = [
        message_service_pb2.DESCRIPTOR.services_by_name["MessageService"],
        inbox_service_pb2.DESCRIPTOR.services_by_name["InboxService"],
    ]
    channels = [
        await exits.enter_async_context(
            client.connect(
                address, server_name=name, services=services, credentials=tls(caller), default_seconds=seconds
            )
        )
        for caller, seconds in (("gateway", 3.0), ("cli", 60.0))
    ]
    notices = await exits.enter_async_context(jetstream.connect(stack.nats.admin_url, name="devices"))
    key = Path(stack.state.jwt_private_key)
    return World(
        check=check,
        stack=stack,
        name=name,
        channel=channels[0],
        admin=message_admin_service_pb2_grpc.MessageAdminServiceStub(channels[1]),
        notices=notices,
        tokens={user_id: mint_token(key, user_id) for user_id in range(101, 101 + PEOPLE)},
    )


def _faults(stack: Stack, name: str) -> dict[str, Any]:
    return {
        "kill_dm_serve": lambda: kill(stack, f"{name}.serve"),
        "kill_dm_worker": lambda: kill(stack, f"{name}.work"),
        "kill_dm_worker_2": lambda: kill(stack, f"{name}.work.2"),
        "freeze_dm_worker_3_s": lambda: freeze(stack, f"{name}.work", 3.0),
        "freeze_dm_worker_2": lambda: freeze(stack, f"{name}.work.2", 1.0),
        "freeze_dm_serve": lambda: freeze(stack, f"{name}.serve", 1.0),
        "kill_nats": lambda: kill(stack, "nats"),
        "nats_down_1_s": lambda: keep_down(stack, "nats", 1.0),
        "kill_postgres": lambda: kill(stack, "postgres"),
        "kill_redis": lambda: kill(stack, "redis"),
    }


async def _write(world: World, users: list[int]) -> None:
    """Send until there are enough sends and faults, each send repeated until it is acknowledged."""
    check = world.check
    sends, faults = (1_000, 12) if check.quick else (SENDS, FAULTS)
    end = time.monotonic() + (90.0 if check.quick else LONGEST_SECONDS)

    def is_enough() -> bool:
        enough = len(world.sent) >= sends and sum(check.faults.values()) >= faults
        return enough or time.monotonic() > end

    async def writer(number: int) -> None:
        sender = users[number % len(users)]
        world.act_as(sender)
        draw = random.Random(number)
        while not is_enough():
            recipient = draw.choice([one for one in users if one != sender])
            world.sent.append(await _send(world, sender, recipient, str(len(world.sent))))
            if draw.random() < 0.05:
                await _mark_read(world, sender, recipient)

    async with asyncio.TaskGroup() as group:
        for number in range(WRITERS):
            group.create_task(writer(number))
    check.require(len(world.sent) >= sends, f"{sends} sends were wanted")
    check.require(sum(check.faults.values()) >= faults, f"{faults} faults were wanted")


async def _send(world: World, sender: int, recipient: int, content: str) -> Sent:
    key = str(uuid.uuid4())
    issued = time.monotonic()
    tries = 0
    while True:
        tries += 1
        # Now and then the caller gives up at about the moment of the commit, and doesn't learn of it.
        is_cut = tries == 1 and random.random() < CUT_SHARE
        world.cut_calls += is_cut
        try:
            reply = await world.messages.SendMessage(
                message_service_pb2.SendMessageRequest(recipient_id=recipient, content=content, client_message_id=key),
                timeout=random.uniform(*CUT_SECONDS) if is_cut else None,
            )
        except HeliographError as error:
            if error.status not in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL"):
                raise
            if world.check.sabotage == "new_key_per_retry":
                key = str(uuid.uuid4())
            await asyncio.sleep(0.05)
        else:
            message = reply.message
            return Sent(message.message_id, message.conversation_id, sender, issued, time.monotonic(), tries)


async def _mark_read(world: World, reader: int, other: int) -> None:
    try:
        found = await world.messages.GetConversationWithUser(
            message_service_pb2.GetConversationWithUserRequest(user_id=other)
        )
        conversation = found.conversation
        if conversation.last_number > conversation.read_number:
            await world.messages.MarkRead(
                message_service_pb2.MarkReadRequest(
                    conversation_id=conversation.conversation_id,
                    up_to_number=random.randint(conversation.read_number + 1, conversation.last_number),
                )
            )
    except HeliographError:
        return  # it is tried again with the next message


async def _compare(world: World, users: list[int], devices: list[Device]) -> None:
    check = world.check
    check.say("Reading the whole history")
    by_conversation: dict[str, list[Sent]] = defaultdict(list)
    for sent in world.sent:
        by_conversation[sent.conversation_id].append(sent)
    lost, doubled, holes, disorder = [], [], [], []
    for conversation_id, acked in by_conversation.items():
        history = await _history(world, conversation_id)
        numbers = [message.number for message in history]
        holes += [f"{conversation_id}/{at}" for at, number in enumerate(numbers, 1) if number != at]
        texts = Counter((message.sender_id, message.content) for message in history)
        doubled += [text for text, times in texts.items() if times > 1]
        places = {message.message_id: message.number for message in history}
        lost += [sent.message_id for sent in acked if sent.message_id not in places]
        disorder += _out_of_order([sent for sent in acked if sent.message_id in places], places)
    check.count("acked", len(world.sent))
    check.count("cut_calls", world.cut_calls)
    check.count("retried", sum(sent.tries > 1 for sent in world.sent))
    check.none_may_be("lost", len(lost), *lost)
    check.none_may_be("doubled", len(doubled), *doubled)
    check.none_may_be("out_of_order", len(disorder), *disorder)
    check.none_may_be("holes", len(holes), *holes)
    await _compare_devices(world, users, devices)
    await _verify(world)


async def _history(world: World, conversation_id: str) -> list[Any]:
    world.act_as(int(conversation_id.partition("-")[0]))
    messages: list[Any] = []
    token = ""
    give_up = time.monotonic() + QUIET_SECONDS
    while True:
        try:
            page = await world.messages.ListMessages(
                message_service_pb2.ListMessagesRequest(
                    conversation_id=conversation_id,
                    page_size=50,
                    page_token=token,
                    order=message_service_pb2.MESSAGE_ORDER_OLDEST_FIRST,
                )
            )
        except HeliographError:
            if time.monotonic() > give_up:
                return messages
            await asyncio.sleep(0.1)
            continue
        messages += page.messages
        token = page.next_page_token
        if not token:
            return messages


def _out_of_order(acked: list[Sent], places: dict[str, int]) -> list[str]:
    """Messages that stand behind one that was issued only after they had been acknowledged."""
    in_place = sorted(acked, key=lambda sent: places[sent.message_id])
    wrong = []
    earliest_ack = float("inf")
    for sent in reversed(in_place):
        if earliest_ack < sent.issued:
            wrong.append(sent.message_id)
        earliest_ack = min(earliest_ack, sent.acked)
    return wrong


async def _compare_devices(world: World, users: list[int], devices: list[Device]) -> None:
    check = world.check
    heads: dict[int, int] = {}
    give_up = time.monotonic() + QUIET_SECONDS
    while time.monotonic() < give_up:
        try:
            reply = await world.inboxes.GetInboxHeads(inbox_service_pb2.GetInboxHeadsRequest(user_ids=users))
        except HeliographError:
            await asyncio.sleep(0.2)
            continue
        heads = {head.user_id: head.head_useq for head in reply.heads}
        if all(device.cursor == heads[device.user_id] for device in devices):
            break
        await asyncio.sleep(0.2)
    wrong = [device.user_id for device in devices if device.shown != list(range(1, heads.get(device.user_id, 0) + 1))]
    twice = [device.user_id for device in devices if len(set(device.message_ids)) != len(device.message_ids)]
    check.count("cut_connections", world.cuts)
    check.none_may_be("device_holes", len(wrong), *wrong)
    check.none_may_be("device_doubled", len(twice), *twice)


async def _verify(world: World) -> None:
    check, token, found = world.check, "", Counter[str]()
    while True:
        try:
            reply = await world.admin.VerifyConversations(
                message_admin_service_pb2.VerifyConversationsRequest(page_size=20, page_token=token)
            )
        except HeliographError as error:
            check.require(False, f"the conversations could not be verified: {error}")
            return
        for one in ("lost", "doubled", "out_of_order", "hole", "wrong_unread", "wrong_head"):
            found[one] += getattr(reply, f"{one}_count")
        token = reply.next_page_token
        if not token:
            break
    for one, count in found.items():
        check.none_may_be(f"verify_{one}", count)
    letters = await world.admin.ListDeadLetters(message_admin_service_pb2.ListDeadLettersRequest())
    check.none_may_be("dead_letters", len(letters.dead_letters))


async def _stop_nats(world: World, users: list[int], devices: list[Device]) -> None:
    """What is acknowledged reaches deaf devices by the sweep alone, with NATS down."""
    check = world.check
    seconds = 8.0 if check.quick else 60.0
    check.say(f"NATS stops for {seconds:.0f} s after a last burst; announcements are lost")
    for device in devices:
        device.is_deaf = True
    await asyncio.sleep(2.0)  # until every device has come again, without hearing
    before = len(world.sent)

    async def burst(sender: int) -> None:
        world.act_as(sender)
        recipient = users[(users.index(sender) + 1) % len(users)]
        world.sent.append(await _send(world, sender, recipient, f"last of {sender}"))

    await asyncio.gather(*(burst(sender) for sender in users))
    await asyncio.sleep(0.3)
    check.fault("nats_stopped")
    await world.stack.hold("nats")
    await asyncio.sleep(seconds)
    late = [
        sent.message_id
        for sent in world.sent[before:]
        for device in devices
        if str(device.user_id) in sent.conversation_id.split("-")
        and device.arrivals.get(sent.message_id, float("inf")) - sent.acked > 5.0
    ]
    check.none_may_be("late", len(late), *late)
    world.stack.release("nats")
    await world.stack.wait_ready("nats")


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, AssertionError):
            raise outcome
