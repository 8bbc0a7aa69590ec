"""Who is connected to this process, and what is heard for them over NATS.

Subjects, each heard while the user has somebody listening here:

| subject | event | for |
| --- | --- | --- |
| `dm.inbox.<user>` | InboxEntriesDelivered | open inboxes |
| `connected.<user>` | ConnectionProbed, answered: "somebody is connected" | open inboxes |
| `live.<user>` | LiveEvent | open `live` subscriptions |

A hint may be lost: inboxes are also compared with their heads every two seconds (`sweep`), so that costs seconds and
never an entry. While NATS is away, users are known all the same and subscribed once it is back.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from google.protobuf.message import DecodeError, Message
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from prometheus_client import Gauge

from gateway.clients import Clients
from heliograph.dm.v1.inbox_pb2 import InboxEntry
from heliograph.dm.v1.inbox_service_pb2 import GetInboxHeadsRequest
from heliograph.events.v1.live_events_pb2 import ConnectionProbed, LiveEvent
from heliograph.events.v1.message_events_pb2 import InboxEntriesDelivered
from mesh import auth, telemetry
from mesh.errors import HeliographError
from mesh.events import subject_of
from mesh.jetstream import JetStream, MessagingUnavailable

SWEEP_SECONDS = 2.0
HEADS_PER_CALL = 1_000

M = TypeVar("M", bound=Message)
_log = telemetry.get_logger(__name__)
_users = Gauge("gateway_connected_users", "Users with a subscription on this process", ["kind"])


class InboxListener(Protocol):
    """A device with an open inbox."""

    def offer(self, entries: list[InboxEntry]) -> None:
        """Take entries that were announced, in whatever order announcements come."""

    def compare(self, head_useq: int) -> None:
        """Learn where the inbox ends."""


LiveListener = Callable[[LiveEvent], None]


@dataclass(slots=True)
class _User:
    inboxes: set[InboxListener] = field(default_factory=set)
    live: set[LiveListener] = field(default_factory=set)
    heard: dict[str, Subscription] = field(default_factory=dict)

    @property
    def is_heard(self) -> bool:
        """Whether there is a subscription for all that somebody listens to."""
        return len(self.heard) == 2 * bool(self.inboxes) + bool(self.live)


class Hub:
    """The connected users of one process."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._jetstream: JetStream | None = None
        self._users: dict[int, _User] = {}
        self.answers: dict[Hashable, bytes] = {}
        """Answers to the announcement that is being told: the devices of a person share them."""
        # Counted when asked for: to count at each change would take time in the square of the users.
        _users.labels("inbox").set_function(lambda: sum(1 for user in self._users.values() if user.inboxes))
        _users.labels("live").set_function(lambda: sum(1 for user in self._users.values() if user.live))

    async def attach(self, jetstream: JetStream) -> None:
        """Hear for everybody who is connected already, and from now on for whoever connects."""
        self._jetstream = jetstream
        for user_id in list(self._users):
            await self._hear(user_id)

    async def open_inbox(self, user_id: int, listener: InboxListener) -> None:
        """Offer announcements to the listener; returns once none that is made from now on can be missed."""
        self._users.setdefault(user_id, _User()).inboxes.add(listener)
        await self._hear(user_id)

    async def close_inbox(self, user_id: int, listener: InboxListener) -> None:
        """Offer nothing more."""
        self._users[user_id].inboxes.discard(listener)
        await self._leave(user_id)

    async def open_live(self, user_id: int, listener: LiveListener) -> None:
        """Give live events to the listener."""
        self._users.setdefault(user_id, _User()).live.add(listener)
        await self._hear(user_id)

    async def close_live(self, user_id: int, listener: LiveListener) -> None:
        """Give nothing more."""
        self._users[user_id].live.discard(listener)
        await self._leave(user_id)

    async def sweep(self) -> None:
        """Compare every open inbox with its head, and subscribe for users where that failed before."""
        auth.set_viewer(None)
        for user_id in [user_id for user_id, user in self._users.items() if not user.is_heard]:
            await self._hear(user_id)
        open_inboxes = [user_id for user_id, user in self._users.items() if user.inboxes]
        # Counted here and not at each coming and going, which would take a step for everybody who is there.
        _users.labels("inbox").set(len(open_inboxes))
        _users.labels("live").set(sum(1 for user in self._users.values() if user.live))
        for start in range(0, len(open_inboxes), HEADS_PER_CALL):
            request = GetInboxHeadsRequest(user_ids=open_inboxes[start : start + HEADS_PER_CALL])
            try:
                reply = await self._clients.inbox.GetInboxHeads(request)
            except HeliographError as error:
                _log.warning("sweep_failed", reason=error.reason)
                return
            for head in reply.heads:
                for listener in list(self._inboxes(head.user_id)):
                    listener.compare(head.head_useq)

    def _inboxes(self, user_id: int) -> set[InboxListener]:
        user = self._users.get(user_id)
        return user.inboxes if user else set()

    async def _hear(self, user_id: int) -> None:
        user = self._users.get(user_id)
        if user is None or self._jetstream is None:
            return
        for subject, on_notice in self._wanted(user_id, user).items():
            if subject in user.heard:
                continue
            try:
                subscription = await self._jetstream.hear(subject, on_notice)
            except MessagingUnavailable:
                return  # the next sweep tries again
            if subject in user.heard or self._users.get(user_id) is not user:
                await subscription.unsubscribe()  # somebody else was faster, or everybody has left meanwhile
            else:
                user.heard[subject] = subscription

    def _wanted(self, user_id: int, user: _User) -> dict[str, Callable[[Msg], object]]:
        wanted: dict[str, Callable[[Msg], object]] = {}
        if user.inboxes:
            wanted[subject_of(InboxEntriesDelivered(user_id=user_id))] = self._on_entries
            wanted[subject_of(ConnectionProbed(user_id=user_id))] = _answer
        if user.live:
            wanted[subject_of(LiveEvent(user_id=user_id))] = self._on_live
        return wanted

    async def _leave(self, user_id: int) -> None:
        user = self._users[user_id]
        wanted = self._wanted(user_id, user)
        dropped = [subject for subject in user.heard if subject not in wanted]
        subscriptions = [user.heard.pop(subject) for subject in dropped]
        if not user.inboxes and not user.live:
            del self._users[user_id]
        for subscription in subscriptions:
            await subscription.unsubscribe()

    def _on_entries(self, notice: Msg) -> None:
        delivered = _decoded(InboxEntriesDelivered, notice)
        if delivered is None:
            return
        entries = list(delivered.entries)
        self.answers.clear()
        for listener in list(self._inboxes(delivered.user_id)):
            listener.offer(entries)
        self.answers.clear()

    def _on_live(self, notice: Msg) -> None:
        event = _decoded(LiveEvent, notice)
        if event is not None and (user := self._users.get(event.user_id)):
            for listener in list(user.live):
                listener(event)


async def _answer(notice: Msg) -> None:
    if notice.reply:
        await notice.respond(b"")


def _decoded(kind: type[M], notice: Msg) -> M | None:
    try:
        return kind.FromString(notice.data)
    except DecodeError:
        _log.warning("notice_undecodable", kind=kind.DESCRIPTOR.full_name)
        return None
