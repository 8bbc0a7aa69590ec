"""Send a message."""

import asyncio
from dataclasses import dataclass

from dm_svc.cache import Cache, Claim
from dm_svc.domain import rules
from dm_svc.domain.values import (
    ConversationId,
    KnownKey,
    LogEntry,
    MemberState,
    Message,
    MessageId,
    MessageSent,
    Photo,
    Relation,
    SendState,
    UserId,
)
from dm_svc.errors import IdempotencyKeyReused
from dm_svc.events import Log, Positions
from dm_svc.peers.graph import Graph
from dm_svc.peers.media import Media
from dm_svc.store.reads import ReadStore
from dm_svc.usecases.await_log import AwaitLog
from dm_svc.usecases.limit_rate import LimitRate
from mesh.clock import Clock
from mesh.coalesce import Coalescer
from mesh.redis import TROUBLE
from mesh.telemetry import get_logger

BATCH = 500

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a send asks about."""

    message_id: MessageId
    pair: tuple[UserId, UserId]
    """Sender and recipient."""
    digest: bytes
    """Of what it says."""


@dataclass(frozen=True, slots=True)
class About:
    """What must be known before a send."""

    known: KnownKey | None
    """What the key was used for, as the tables know."""
    claimed: bytes | None
    """The digest that the key was claimed for a moment ago; `None` when it was free."""
    relation: Relation
    state: SendState


class SendChecks:
    """What must be known before a send, asked for together by sends that come together."""

    def __init__(self, *, store: ReadStore, graph: Graph, cache: Cache) -> None:
        self._store = store
        self._graph = graph
        self._cache = cache
        self.about: Coalescer[Asked, About] = Coalescer(self._about, most=BATCH)

    async def _about(self, asked: list[Asked]) -> list[About]:
        relations, states, claimed = await asyncio.gather(
            self._graph.relations(list({one.pair for one in asked})),
            self._store.send_states([(one.message_id, *one.pair) for one in asked]),
            self._claim([Claim(one.pair[0], one.message_id, one.digest) for one in asked]),
        )
        return [
            About(known, before, relations[one.pair], state)
            for one, (known, state), before in zip(asked, states, claimed, strict=True)
        ]

    async def _claim(self, claims: list[Claim]) -> list[bytes | None]:
        """Claim keys while the rest is asked: a send that is refused keeps its key for its own body for minutes."""
        try:
            return await self._cache.claim_keys(claims)
        except TROUBLE as error:
            # The log's dedup window and the tables still hold; see `dm_svc.cache`.
            _log.warning("key_claim_failed", error=repr(error))
            return [None] * len(claims)


@dataclass(frozen=True, slots=True)
class SendMessage:
    """One publish is the commit: its acknowledgement means that the message is durable and has its place."""

    store: ReadStore
    checks: SendChecks
    media: Media
    log: Log
    positions: Positions
    await_log: AwaitLog
    limit: LimitRate
    clock: Clock

    async def __call__(
        self, sender: UserId, *, recipient_id: int, content: str, upload_id: str, client_message_id: str
    ) -> Message:
        """Return the message, new or from the first call with this key, which may be long ago."""
        recipient = rules.checked_recipient(sender, recipient_id)
        rules.checked_client_message_id(client_message_id)
        rules.checked_upload_id(upload_id)
        rules.checked_content(content, has_photo=bool(upload_id))
        self.limit(sender)
        digest = rules.body_digest(recipient, content, upload_id)
        message_id = rules.message_id_of(sender, client_message_id)
        asked = Asked(message_id, (sender, recipient), digest)
        about = await self.checks.about(asked)
        if about.known is not None:
            return await self._first(sender, about.known, digest)
        conversation_id = rules.conversation_of(sender, recipient)
        is_new = about.state.recipient_state is not MemberState.ACTIVE
        if is_new and await self.await_log.conversation(conversation_id):
            # What was acknowledged a moment ago may have made it active.
            about = await self.checks.about(asked)
        is_request = rules.is_request(about.relation, about.state)
        if about.claimed not in (None, digest):
            raise IdempotencyKeyReused
        photo = await self._attach(sender, upload_id, client_message_id)
        entry = LogEntry(
            sequence=0,
            entry_id=message_id,
            conversation_id=conversation_id,
            actor_id=sender,
            other_id=recipient,
            accept_time=self.clock.now(),
            change=MessageSent(
                message_id=message_id,
                client_message_id=client_message_id,
                content=content,
                photo=photo,
                body_digest=digest,
                is_request=is_request,
            ),
        )
        return await self._append(sender, entry, digest)

    async def _append(self, sender: UserId, entry: LogEntry, digest: bytes) -> Message:
        stored = await self.log.append(entry)
        partition = self.log.partition_of(entry.conversation_id)
        self.positions.note_acknowledged(partition, stored.sequence)
        if not stored.duplicate:
            return _unnumbered(entry)
        first = await self.log.get(partition, stored.sequence)
        if first is not None and isinstance(first.change, MessageSent):
            if first.change.body_digest != digest:
                raise IdempotencyKeyReused
            return _unnumbered(first)
        # Erased from the log: it was taken back, so it is in the tables.
        known = (await self.store.known_keys([MessageId(entry.entry_id)])).get(MessageId(entry.entry_id))
        return await self._first(sender, known, digest) if known is not None else _unnumbered(entry)

    async def _first(self, sender: UserId, known: KnownKey, digest: bytes) -> Message:
        if known.body_digest != digest:
            raise IdempotencyKeyReused
        return (await self.store.get_messages(sender, [known.message_id]))[known.message_id]

    async def _attach(self, sender: UserId, upload_id: str, client_message_id: str) -> Photo | None:
        if not upload_id:
            return None
        reference = rules.photo_reference(sender, client_message_id)
        return await self.media.attach_message_photo(upload_id, reference=reference)


def _unnumbered(entry: LogEntry) -> Message:
    assert isinstance(entry.change, MessageSent)  # noqa: S101 - the callers look
    return Message(
        message_id=entry.change.message_id,
        conversation_id=ConversationId(entry.conversation_id),
        number=None,
        sender_id=entry.actor_id,
        client_message_id=entry.change.client_message_id,
        content=entry.change.content,
        photo=entry.change.photo,
        send_time=entry.accept_time,
        unsend_time=None,
        is_read=False,
    )
