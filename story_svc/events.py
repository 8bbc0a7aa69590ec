"""JetStream: the stream that story_svc owns, its events, and the notices for open apps.

| stream | subjects | kept | heard by |
| --- | --- | --- | --- |
| STORIES | `story.published.*.*`, `story.deleted.*.*`, `story.expired.*.*`, `story.purged.*.*` | 9 days | story_svc |
| STORIES | `story.due.*`: ExpiryApproached, one for a second in which stories end | 9 days | story_svc |
| STORIES | `story.schedule.*`: the same until it fires | until then | the server itself |
| none | `live.<user>`: StoryTrayChanged, StoryExpired | not at all | gateways, for connected users |
"""

from datetime import datetime

from nats.js.api import RetentionPolicy, StorageType, StreamConfig

from heliograph.events.v1 import live_events_pb2, story_events_pb2
from mesh.events import Event, event
from story_svc.domain import Ended, StoryId, StoryRecord, UserId

STORIES_NAME = "STORIES"
STORIES = StreamConfig(
    name=STORIES_NAME,
    subjects=["story.>"],
    storage=StorageType.FILE,
    retention=RetentionPolicy.LIMITS,
    # Longer than a story waits to be expired and purged together.
    max_age=9 * 24 * 3600,
    allow_direct=True,
    allow_msg_schedules=True,
    allow_atomic=True,
)
STREAMS = (STORIES,)


def story_published(record: StoryRecord) -> Event:
    """Say that a story was committed."""
    message = story_events_pb2.StoryPublished(story_id=record.story_id, author_id=record.author_id)
    message.create_time.FromDatetime(record.create_time)
    message.expire_time.FromDatetime(record.expire_time)
    return event(message)


def story_deleted(record: StoryRecord) -> Event:
    """Say that a story was deleted by its author."""
    message = story_events_pb2.StoryDeleted(story_id=record.story_id, author_id=record.author_id)
    message.delete_time.FromDatetime(record.end_time)
    return event(message)


def expiry_approached(second: datetime) -> story_events_pb2.ExpiryApproached:
    """Say that a second is near in which stories end."""
    return story_events_pb2.ExpiryApproached(second=int(second.timestamp()))


def story_expired(story: Ended) -> story_events_pb2.StoryExpired:
    """Say that a story reached its 24 hours; the same bytes whoever says it, and whenever."""
    message = story_events_pb2.StoryExpired(story_id=story.story_id, author_id=story.author_id)
    message.expire_time.FromDatetime(story.expire_time)
    return message


def story_purged(record: StoryRecord, purge_time: datetime) -> Event:
    """Say that a story's photo was removed."""
    message = story_events_pb2.StoryPurged(
        story_id=record.story_id, author_id=record.author_id, upload_id=record.upload_id
    )
    message.purge_time.FromDatetime(purge_time)
    return event(message)


def live_tray_changed(author: UserId, listener: UserId) -> Event:
    """Tell one person's apps that somebody's reel has changed."""
    changed = live_events_pb2.LiveEvent.StoryTrayChanged(author_id=author)
    return event(live_events_pb2.LiveEvent(user_id=listener, story_tray_changed=changed))


def live_story_gone(story_id: StoryId, author: UserId, since: datetime, listener: UserId) -> Event:
    """Tell one person's apps that a story must leave the screen."""
    gone = live_events_pb2.LiveEvent.StoryExpired(story_id=story_id, author_id=author)
    gone.expire_time.FromDatetime(since)
    return event(live_events_pb2.LiveEvent(user_id=listener, story_expired=gone))
