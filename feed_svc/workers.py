"""Loops: which consumer calls which use case."""

from dataclasses import dataclass

from feed_svc.domain import DeliveryMode, PostId, UserId
from feed_svc.usecases.drop_timelines import DropTimelines
from feed_svc.usecases.fan_out_post import FanOutPost
from heliograph.events.v1 import graph_events_pb2, post_events_pb2
from mesh.consumer import Consumer, Done, Outcome
from mesh.events import subjects
from mesh.jetstream import JetStream, Received

FOLLOWED = graph_events_pb2.UserFollowed.DESCRIPTOR
UNFOLLOWED = graph_events_pb2.UserUnfollowed.DESCRIPTOR


@dataclass(frozen=True, slots=True)
class Workers:
    """The consumers of the service."""

    jetstream: JetStream
    fan_out_post: FanOutPost
    drop_timelines: DropTimelines

    def consumers(self) -> list[Consumer]:
        """Return every durable consumer with its handler."""
        return [
            Consumer(
                jetstream=self.jetstream,
                stream="POSTS",
                durable="feed-fan-out",
                subjects=subjects(post_events_pb2.PostCreated.DESCRIPTOR),
                handle=self._post_created,
            ),
            Consumer(
                jetstream=self.jetstream,
                stream="GRAPH",
                durable="feed-edges",
                subjects=subjects(FOLLOWED, UNFOLLOWED),
                handle=self._edge_changed,
            ),
        ]

    async def _post_created(self, received: Received) -> Outcome:
        fact = post_events_pb2.PostCreated.FromString(received.payload)
        await self.fan_out_post(PostId(fact.post_id), UserId(fact.author_id), DeliveryMode(fact.delivery_mode))
        return Done()

    async def _edge_changed(self, received: Received) -> Outcome:
        fact = graph_events_pb2.UserFollowed.FromString(received.payload)  # both kinds begin with the follower
        await self.drop_timelines(UserId(fact.follower_id))
        return Done()
