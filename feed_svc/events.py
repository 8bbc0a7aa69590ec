"""JetStream: the streams that feed_svc owns, and its events.

| stream | subjects | kept | heard by |
| --- | --- | --- | --- |
| POSTS | `post.created.*`, `post.deleted.*`, `post.chunk.*.*` | 7 days | feed_svc |
| GRAPH | `graph.>` | 7 days | feed_svc, story_svc, dm_svc |
| none: core NATS | `live.<user>` | not at all | the gateway |
"""

from datetime import datetime

from nats.js.api import RetentionPolicy, StorageType, StreamConfig

from feed_svc.domain import Chunk, Post, PostId, UserId
from heliograph.events.v1 import graph_events_pb2, live_events_pb2, post_events_pb2
from mesh.events import Event, event
from mesh.ids import created_at
from mesh.jetstream import JetStream

KEPT_SECONDS = 7 * 24 * 3600

POSTS = StreamConfig(
    name="POSTS",
    subjects=["post.>"],
    storage=StorageType.FILE,
    retention=RetentionPolicy.LIMITS,
    max_age=KEPT_SECONDS,
)
GRAPH = StreamConfig(
    name="GRAPH",
    subjects=["graph.>"],
    storage=StorageType.FILE,
    retention=RetentionPolicy.LIMITS,
    max_age=KEPT_SECONDS,
)
STREAMS = (POSTS, GRAPH)


class Events:
    """What is published past the outbox: chunks, which their handlers queue before they acknowledge, and hints."""

    def __init__(self, jetstream: JetStream) -> None:
        self._jetstream = jetstream

    async def queue_chunk(self, chunk: Chunk, *, max_followers: int, now: datetime) -> None:
        """Queue a piece of a fan-out; `MessagingUnavailable` when it may not be stored. Safe to repeat."""
        message = post_events_pb2.FanOutChunkQueued(
            post_id=chunk.post_id,
            author_id=chunk.author_id,
            policy_version=chunk.policy_version,
            lane=chunk.lane,
            phase=int(chunk.phase),  # type: ignore[arg-type]  # the numbers are the proto's
            after_follower_id=chunk.after,
            max_followers=max_followers,
        )
        message.create_time.FromDatetime(created_at(chunk.post_id))
        message.queue_time.FromDatetime(now)
        queued = event(message)
        # No message id: a chunk that is queued again after a replay must not be taken for a double.
        await self._jetstream.publish(queued.subject, queued.payload)

    async def feed_changed(self, user: UserId, *, new_post_count: int, newest_post_id: PostId) -> None:
        """Tell a person's open apps that there are newer posts. A hint: lost when nobody listens."""
        notice = event(
            live_events_pb2.LiveEvent(
                user_id=user,
                feed_changed=live_events_pb2.LiveEvent.FeedChanged(
                    new_post_count=new_post_count, newest_post_id=newest_post_id
                ),
            )
        )
        await self._jetstream.tell(notice.subject, notice.payload)


def post_created(post: Post) -> Event:
    """Say that a post was committed."""
    message = post_events_pb2.PostCreated(
        post_id=post.post_id,
        author_id=post.author_id,
        delivery_mode=int(post.delivery_mode),  # type: ignore[arg-type]  # the numbers are the proto's
        policy_version=post.policy_version,
        follower_count=post.follower_count,
    )
    message.create_time.FromDatetime(post.create_time)
    return event(message)


def post_deleted(post: Post) -> Event:
    """Say that a post was tombstoned."""
    message = post_events_pb2.PostDeleted(post_id=post.post_id, author_id=post.author_id, upload_id=post.upload_id)
    message.create_time.FromDatetime(post.create_time)
    if post.delete_time is not None:
        message.delete_time.FromDatetime(post.delete_time)
    return event(message)


def user_changed(user_id: UserId, at: datetime) -> Event:
    """Say that a person is new or bears another name or picture."""
    message = graph_events_pb2.UserChanged(user_id=user_id)
    message.change_time.FromDatetime(at)
    return event(message)


def followed(follower: UserId, followee: UserId, at: datetime) -> Event:
    """Say that an edge was made."""
    message = graph_events_pb2.UserFollowed(follower_id=follower, followee_id=followee)
    message.follow_time.FromDatetime(at)
    return event(message)


def unfollowed(follower: UserId, followee: UserId, at: datetime) -> Event:
    """Say that an edge was removed."""
    message = graph_events_pb2.UserUnfollowed(follower_id=follower, followee_id=followee)
    message.unfollow_time.FromDatetime(at)
    return event(message)


def blocked(blocker: UserId, blocked: UserId, at: datetime) -> Event:
    """Say that a block was set."""
    message = graph_events_pb2.UserBlocked(blocker_id=blocker, blocked_id=blocked)
    message.block_time.FromDatetime(at)
    return event(message)


def unblocked(blocker: UserId, blocked: UserId, at: datetime) -> Event:
    """Say that a block was lifted."""
    message = graph_events_pb2.UserUnblocked(blocker_id=blocker, blocked_id=blocked)
    message.unblock_time.FromDatetime(at)
    return event(message)
