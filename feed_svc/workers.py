"""Loops: which consumer or notice calls which use case."""

from dataclasses import dataclass

from nats.aio.msg import Msg

from feed_svc.cache import Records
from feed_svc.domain import Chunk, DeliveryMode, Phase, PostId, UserId
from feed_svc.store import Store
from feed_svc.usecases.delete_post import CleanUpPost
from feed_svc.usecases.fan_out_post import LANES, FanOutPost
from feed_svc.usecases.get_home_feed import LastPages
from feed_svc.usecases.keep_timeline import KeepTimeline
from feed_svc.usecases.pulled_authors import PulledAuthors
from heliograph.events.v1 import graph_events_pb2, post_events_pb2
from mesh.consumer import Consumer, Done, Handler, Outcome, Retry, pause_after
from mesh.errors import Unavailable
from mesh.events import subjects
from mesh.jetstream import JetStream, Received
from mesh.redis import TROUBLE
from mesh.telemetry import get_logger

TRIES = 8
"""After so many a chunk is set aside. What is away (Redis, Postgres, NATS) does not count: that is waited for."""
AWAY_SECONDS = 1.0
ACK_SECONDS = 4.0
"""A killed worker's messages go to another one after this long."""
FOR_EVER = 1 << 30
LANE_CONCURRENCY = 2

_POST_CREATED = post_events_pb2.PostCreated.DESCRIPTOR
_POST_DELETED = post_events_pb2.PostDeleted.DESCRIPTOR
_UNFOLLOWED = graph_events_pb2.UserUnfollowed.DESCRIPTOR
_USER_CHANGED = graph_events_pb2.UserChanged.DESCRIPTOR

_AWAY = (*TROUBLE, Unavailable)

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Workers:
    """The consumers of the service; any number of processes share them."""

    jetstream: JetStream
    store: Store
    fan_out_post: FanOutPost
    clean_up_post: CleanUpPost
    keep: KeepTimeline

    def consumers(self) -> list[Consumer]:
        """Return every durable consumer with its handler; large authors' chunks have one a lane."""
        return [
            self._consumer("POSTS", "feed-fan-out", subjects(_POST_CREATED), self._post_created, 16),
            *(
                self._consumer(
                    "POSTS", f"feed-chunks-{lane}", (f"post.chunk.{lane}.*",), self._chunk_queued, LANE_CONCURRENCY
                )
                for lane in range(1, LANES)
            ),
            self._consumer("POSTS", "feed-clean-up", subjects(_POST_DELETED), self._post_deleted, 8),
            self._consumer("GRAPH", "feed-purge", subjects(_UNFOLLOWED), self._unfollowed, 8),
        ]

    def _consumer(
        self, stream: str, durable: str, filters: tuple[str, ...], handle: Handler, concurrency: int
    ) -> Consumer:
        return Consumer(
            jetstream=self.jetstream,
            stream=stream,
            durable=durable,
            subjects=filters,
            handle=_patient(handle),
            concurrency=concurrency,
            ack_wait_seconds=ACK_SECONDS,
            max_deliveries=FOR_EVER,
        )

    async def _post_created(self, received: Received) -> Outcome:
        fact = post_events_pb2.PostCreated.FromString(received.payload)
        try:
            await self.fan_out_post.begin(
                PostId(fact.post_id),
                UserId(fact.author_id),
                DeliveryMode(fact.delivery_mode),
                policy_version=fact.policy_version,
                follower_count=fact.follower_count,
            )
        except _AWAY:
            raise
        except Exception as error:  # whatever it is: after the last try it is kept where staff see it
            return await self._tried(received, error, fact.post_id, 0)
        return Done()

    async def _chunk_queued(self, received: Received) -> Outcome:
        fact = post_events_pb2.FanOutChunkQueued.FromString(received.payload)
        try:
            await self.fan_out_post.handle(
                Chunk(
                    post_id=PostId(fact.post_id),
                    author_id=UserId(fact.author_id),
                    policy_version=fact.policy_version,
                    lane=fact.lane,
                    phase=Phase(fact.phase),
                    after=fact.after_follower_id,
                )
            )
        except _AWAY:
            raise
        except Exception as error:
            return await self._tried(received, error, fact.post_id, fact.after_follower_id)
        return Done()

    async def _tried(self, received: Received, error: Exception, post_id: int, after: int) -> Outcome:
        if received.deliveries < TRIES:
            _log.warning("fan_out_failed", post=post_id, exc_info=error)
            return Retry(pause_after(received.deliveries))
        _log.error("fan_out_given_up", post=post_id, exc_info=error)
        await self.store.insert_dead_letter(
            stream_sequence=received.stream_sequence,
            subject=received.subject,
            payload=received.payload,
            post_id=post_id,
            after_follower_id=after,
            attempt_count=received.deliveries,
            error=type(error).__name__,
        )
        return Done()

    async def _post_deleted(self, received: Received) -> Outcome:
        fact = post_events_pb2.PostDeleted.FromString(received.payload)
        await self.clean_up_post(PostId(fact.post_id))
        return Done()

    async def _unfollowed(self, received: Received) -> Outcome:
        fact = graph_events_pb2.UserUnfollowed.FromString(received.payload)
        await self.keep.purge_or_raise(UserId(fact.follower_id), UserId(fact.followee_id))
        return Done()


@dataclass(frozen=True, slots=True)
class Notices:
    """What serving processes hear as it happens, so that what they hold keeps in step. A lost one costs seconds."""

    jetstream: JetStream
    pulled: PulledAuthors
    records: Records
    pages: LastPages

    async def listen(self) -> None:
        """Begin to hear."""
        for kind, hear in (
            (_POST_CREATED, self._post_created),
            (_POST_DELETED, self._post_deleted),
            (_UNFOLLOWED, self._unfollowed),
            (_USER_CHANGED, self._user_changed),
        ):
            for subject in subjects(kind):
                await self.jetstream.hear(subject, hear)

    def _post_created(self, message: Msg) -> None:
        fact = post_events_pb2.PostCreated.FromString(message.data)
        if DeliveryMode(fact.delivery_mode) is DeliveryMode.PULL:
            self.pulled.hear_of(UserId(fact.author_id), PostId(fact.post_id))

    def _post_deleted(self, message: Msg) -> None:
        fact = post_events_pb2.PostDeleted.FromString(message.data)
        self.records.forget_post(PostId(fact.post_id))
        self.pages.forget_post(PostId(fact.post_id))

    def _unfollowed(self, message: Msg) -> None:
        fact = graph_events_pb2.UserUnfollowed.FromString(message.data)
        self.pages.forget_author(UserId(fact.follower_id), UserId(fact.followee_id))

    def _user_changed(self, message: Msg) -> None:
        fact = graph_events_pb2.UserChanged.FromString(message.data)
        self.records.forget_author(UserId(fact.user_id))


def _patient(handle: Handler) -> Handler:
    """Wait for what is away, for as long as it takes; it is no fault of the message."""

    async def patient(received: Received) -> Outcome:
        try:
            return await handle(received)
        except _AWAY as error:
            _log.warning("store_away", subject=received.subject, error=type(error).__name__)
            return Retry(AWAY_SECONDS)

    return patient
