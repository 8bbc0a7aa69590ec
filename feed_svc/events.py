"""JetStream: the streams that feed_svc owns, and its events.

| stream | subjects | kept | heard by |
| --- | --- | --- | --- |
| POSTS | `post.created.*`, `post.deleted.*` | 7 days | feed_svc (fan-out) |
| GRAPH | `graph.>` | 7 days | story_svc, dm_svc (caches) |
"""

from nats.js.api import RetentionPolicy, StorageType, StreamConfig

from feed_svc.domain import Post, UserId
from heliograph.events.v1 import graph_events_pb2, post_events_pb2
from mesh.events import Event, event, subjects

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

POST_CREATED = subjects(post_events_pb2.PostCreated.DESCRIPTOR)


def post_created(post: Post, *, follower_count: int) -> Event:
    """Say that a post was committed."""
    message = post_events_pb2.PostCreated(
        post_id=post.post_id,
        author_id=post.author_id,
        delivery_mode=int(post.delivery_mode),  # type: ignore[arg-type]  # the numbers are the proto's
        policy_version=post.policy_version,
        follower_count=follower_count,
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


def user_changed(user_id: UserId) -> Event:
    """Say that a person is new or bears other names."""
    return event(graph_events_pb2.UserChanged(user_id=user_id))


def followed(follower: UserId, followee: UserId) -> Event:
    """Say that an edge was made."""
    return event(graph_events_pb2.UserFollowed(follower_id=follower, followee_id=followee))


def unfollowed(follower: UserId, followee: UserId) -> Event:
    """Say that an edge was removed."""
    return event(graph_events_pb2.UserUnfollowed(follower_id=follower, followee_id=followee))


def blocked(blocker: UserId, blocked: UserId) -> Event:
    """Say that a block was set."""
    return event(graph_events_pb2.UserBlocked(blocker_id=blocker, blocked_id=blocked))


def unblocked(blocker: UserId, blocked: UserId) -> Event:
    """Say that a block was lifted."""
    return event(graph_events_pb2.UserUnblocked(blocker_id=blocker, blocked_id=blocked))
