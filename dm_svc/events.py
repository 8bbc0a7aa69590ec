"""NATS: the streams that dm_svc owns, the log, and what is announced.

| stream | subject | holds | kept | heard by |
| --- | --- | --- | --- | --- |
| `DM_nn` | `dm.log.<nn>.<conversation>` | the log: sent, read, taken back, decided | 30 days | the partition's owner |
| `INBOX` | `dm.inbox.<user>` | new inbox entries, after their commit | 1 day | gateways, push notices |
| - | `dm.positions` | how far the owners of partitions have come | - | dm_svc: reads that wait |
| - | `live.<user>` | typing, presence | - | gateways |
| - | `connected.<user>` | asks whether a gateway holds the user's inbox | - | gateways answer |

`DM_nn` is synced before its ack, which is the commit; `INBOX` is not, since it is made again from Postgres.

A log stream never drops what is in it before its time: a full one refuses (`discard: new`). Its dedup window makes a
retry of the same entry one entry; beyond it the tables do.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing, suppress
from datetime import timedelta

import orjson
from google.protobuf.timestamp_pb2 import Timestamp
from nats.aio.msg import Msg
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from dm_svc import wire
from dm_svc.domain.rules import MAP_VERSION, partition_of
from dm_svc.domain.values import ConversationId, InboxEntry, LogEntry, UserId
from heliograph.events.v1 import live_events_pb2, message_events_pb2
from mesh.clock import Clock
from mesh.events import event
from mesh.jetstream import JetStream, MessagingUnavailable, Outgoing, Stored

DEDUP_SECONDS = 120.0
INBOX_KEPT_SECONDS = 24 * 3600
MAX_ENTRIES_AN_EVENT = 50
MAX_EVENT_BYTES = 256 * 1024
"""Far below the server's limit of 1 MiB for a message."""
PROBE_SECONDS = 0.5
READ_SECONDS = 60.0
"""How long staff tools may read one conversation's log."""
TYPING_LIFE = timedelta(seconds=6)
PRESENCE_LIFE = timedelta(seconds=90)

INBOX = "INBOX"
INBOX_SUBJECTS = "dm.inbox.*"
POSITIONS = "dm.positions"


def log_stream(partition: int) -> str:
    """Return the name of a partition's stream."""
    return f"DM_{partition:02}"


def log_stream_config(partition: int, *, days: int) -> StreamConfig:
    """Return how a partition of the log is kept."""
    return StreamConfig(
        name=log_stream(partition),
        subjects=[f"dm.log.{partition:02}.*"],
        storage=StorageType.FILE,
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.NEW,
        max_age=days * 24 * 3600,
        duplicate_window=DEDUP_SECONDS,
        allow_direct=True,
    )


def inbox_stream_config() -> StreamConfig:
    """Return how announcements are kept."""
    return StreamConfig(
        name=INBOX,
        subjects=[INBOX_SUBJECTS],
        storage=StorageType.FILE,
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.OLD,
        max_age=INBOX_KEPT_SECONDS,
    )


def decode_entry(payload: bytes, *, sequence: int, partition: int) -> LogEntry:
    """Return the entry that bytes of the log hold; a `ValueError` says what is wrong with them."""
    return wire.log_entry(payload, sequence=sequence, partition=partition)


class Log:
    """The log of all conversations."""

    def __init__(self, jetstream: JetStream, *, partitions: int) -> None:
        self._jetstream = jetstream
        self.partitions = partitions

    async def declare(self, *, days: int) -> None:
        """Create the streams, or bring them to this configuration."""
        for partition in range(self.partitions):
            await self._jetstream.declare_stream(log_stream_config(partition, days=days))
        # In a cluster the copies make it safe; alone, what is lost is announced by Postgres.
        await self._jetstream.declare_stream(inbox_stream_config(), synced=self._jetstream.replicas > 1)

    def partition_of(self, conversation_id: ConversationId) -> int:
        """Return the partition of a conversation."""
        return partition_of(conversation_id, self.partitions)

    async def append(self, entry: LogEntry) -> Stored:
        """Store an entry: the return is its commit and its place in the order. Safe to repeat."""
        partition = self.partition_of(entry.conversation_id)
        appended = event(wire.log_entry_appended(entry, partition=partition, map_version=MAP_VERSION))
        return await self._jetstream.publish(appended.subject, appended.payload, message_id=entry.entry_id)

    async def get(self, partition: int, sequence: int) -> LogEntry | None:
        """Return an entry of the log; `None` when it was erased or is too old."""
        found = await self._jetstream.get(log_stream(partition), sequence)
        return None if found is None else wire.log_entry(found.payload, sequence=sequence, partition=partition)

    async def last_sequence(self, conversation_id: ConversationId) -> int:
        """Return the sequence of a conversation's last entry; 0 when the log holds none."""
        partition = self.partition_of(conversation_id)
        subject = f"dm.log.{partition:02}.{conversation_id}"
        return await self._jetstream.last_sequence(log_stream(partition), subject=subject)

    async def read(self, conversation_id: ConversationId, *, up_to: int) -> list[LogEntry]:
        """Return the kept entries of a conversation up to a sequence of its partition, in order."""
        partition = self.partition_of(conversation_id)
        subject = f"dm.log.{partition:02}.{conversation_id}"
        last = min(up_to, await self._jetstream.last_sequence(log_stream(partition), subject=subject))
        entries: list[LogEntry] = []
        if last == 0:
            return entries
        async with (
            asyncio.timeout(READ_SECONDS),
            aclosing(self._jetstream.read_in_order(log_stream(partition), after=0, subject=subject)) as batches,
        ):
            async for batch in batches:
                for one in batch:
                    with suppress(wire.UndecodableLogEntry):
                        entries.append(wire.log_entry(one.payload, sequence=one.stream_sequence, partition=partition))
                if batch[-1].stream_sequence >= last:
                    break
        return [entry for entry in entries if entry.sequence <= up_to]

    async def erase(self, partition: int, sequence: int, *, announced_to: Sequence[UserId]) -> None:
        """Overwrite an entry whose message was taken back, and drop what was announced of it. Safe to repeat."""
        await self._jetstream.erase(log_stream(partition), sequence)
        for user_id in announced_to:
            await self._jetstream.purge(INBOX, f"dm.inbox.{user_id}")


class Announcer:
    """Tells whoever listens what is new."""

    def __init__(self, jetstream: JetStream, clock: Clock) -> None:
        self._jetstream = jetstream
        self._clock = clock

    async def deliver(self, entries: Sequence[InboxEntry], positions: Mapping[int, int]) -> None:
        """Announce entries that are committed, each inbox in order, and how far partitions have come; return when
        JetStream has the entries. Safe to repeat.
        """
        notices = [Outgoing(POSITIONS, orjson.dumps(list(positions.items())))] if positions else []
        announced = [event(delivered) for delivered in _by_user(entries)]
        await self._jetstream.publish_run([Outgoing(one.subject, one.payload) for one in announced], notices)

    async def tell_typing(
        self, conversation_id: ConversationId, *, typist: UserId, to: UserId, is_typing: bool
    ) -> None:
        """Say that somebody types or stopped. Best effort."""
        notice = live_events_pb2.LiveEvent(user_id=to)
        notice.typing.conversation_id = conversation_id
        notice.typing.typist_id = typist
        notice.typing.is_typing = is_typing
        notice.typing.expire_time.CopyFrom(self._in(TYPING_LIFE))
        await self._tell(notice)

    async def tell_presence(self, member: UserId, *, to: Sequence[UserId], is_online: bool) -> None:
        """Say that somebody came or went. Best effort."""
        for user_id in to:
            notice = live_events_pb2.LiveEvent(user_id=user_id)
            notice.presence_changed.member_id = member
            notice.presence_changed.is_online = is_online
            if is_online:
                notice.presence_changed.expire_time.CopyFrom(self._in(PRESENCE_LIFE))
            await self._tell(notice)

    async def _tell(self, notice: live_events_pb2.LiveEvent) -> None:
        told = event(notice)
        await self._jetstream.tell(told.subject, told.payload)

    def _in(self, life: timedelta) -> Timestamp:
        return wire.timestamp(self._clock.now() + life)


class Connections:
    """Knows from the gateways who is connected."""

    def __init__(self, jetstream: JetStream) -> None:
        self._jetstream = jetstream

    async def is_connected(self, user_id: UserId) -> bool:
        """Whether any gateway holds an open inbox of the user."""
        probe = event(live_events_pb2.ConnectionProbed(user_id=user_id))
        return await self._jetstream.is_heard(probe.subject, seconds=PROBE_SECONDS)


class Positions:
    """What this process knows of how far each partition is persisted and acknowledged."""

    def __init__(self) -> None:
        self._persisted: dict[int, int] = {}
        self._acknowledged: dict[int, int] = {}
        self._waiting: dict[int, list[asyncio.Future[None]]] = {}
        """Who waits for news of a partition."""

    async def listen(self, jetstream: JetStream) -> None:
        """Hear what owners tell."""
        await jetstream.hear(POSITIONS, self._hear)

    def acknowledged(self, partition: int) -> int:
        """Return the last sequence that this process has acknowledged."""
        return self._acknowledged.get(partition, 0)

    def note_acknowledged(self, partition: int, sequence: int) -> None:
        """Remember what a caller was told."""
        self._acknowledged[partition] = max(self._acknowledged.get(partition, 0), sequence)

    def has(self, partition: int, sequence: int) -> bool:
        """Whether the partition is known to be in the tables up to the sequence."""
        return self._persisted.get(partition, 0) >= sequence

    def note_persisted(self, partition: int, position: int) -> None:
        """Remember how far a partition is in the tables."""
        if position > self._persisted.get(partition, 0):
            self._persisted[partition] = position
            for waiting in self._waiting.pop(partition, ()):
                if not waiting.done():
                    waiting.set_result(None)

    async def wait(self, partition: int, sequence: int, *, seconds: float) -> bool:
        """Wait until a notice says that the partition has reached the sequence; `False` after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                while not self.has(partition, sequence):
                    news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    self._waiting.setdefault(partition, []).append(news)
                    await news
        except TimeoutError:
            return False
        return True

    def _hear(self, notice: Msg) -> None:
        for partition, position in orjson.loads(notice.data):
            self.note_persisted(partition, position)


def _by_user(entries: Sequence[InboxEntry]) -> list[message_events_pb2.InboxEntriesDelivered]:
    events: dict[UserId, message_events_pb2.InboxEntriesDelivered] = {}
    finished = []
    for entry in entries:
        open_one = events.get(entry.user_id)
        if open_one is not None and (
            len(open_one.entries) >= MAX_ENTRIES_AN_EVENT or open_one.ByteSize() >= MAX_EVENT_BYTES
        ):
            finished.append(events.pop(entry.user_id))
            open_one = None
        if open_one is None:
            open_one = events[entry.user_id] = message_events_pb2.InboxEntriesDelivered(user_id=entry.user_id)
        open_one.entries.append(wire.inbox_entry_without_urls(entry))
    return [*finished, *events.values()]


__all__ = [
    "INBOX",
    "INBOX_SUBJECTS",
    "Announcer",
    "Connections",
    "Log",
    "MessagingUnavailable",
    "Positions",
    "decode_entry",
    "log_stream",
]
