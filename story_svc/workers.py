"""Loops: which consumer or timer calls which use case."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from heliograph.events.v1 import graph_events_pb2, story_events_pb2
from mesh import periodic
from mesh.consumer import Consumer, Done, Outcome, Retry
from mesh.events import subjects
from mesh.jetstream import JetStream, Received
from story_svc import events
from story_svc.domain import Ended, StoryId, UserId
from story_svc.usecases.drop_followees import DropFollowees
from story_svc.usecases.expire_on_time import ExpireOnTime
from story_svc.usecases.expire_story import ExpireStory
from story_svc.usecases.forget_views import ForgetViews
from story_svc.usecases.notify_followers import NotifyFollowers
from story_svc.usecases.purge_stories import PurgeStories
from story_svc.usecases.refresh_reel import RefreshReel
from story_svc.usecases.schedule_expiry import ScheduleExpiry
from story_svc.usecases.sweep_stories import SweepStories

SWEEP_SECONDS = 1.0
PURGE_SECONDS = 30.0
FORGET_SECONDS = 300.0
MEASURE_SECONDS = 5.0
EXPIRED_AT_ONCE = 8
"""Enough to share statements. More would keep the loop busy while the next stories wait to be ended on time."""

EDGES = (graph_events_pb2.UserFollowed.DESCRIPTOR, graph_events_pb2.UserUnfollowed.DESCRIPTOR)
BLOCKED = graph_events_pb2.UserBlocked.DESCRIPTOR


@dataclass(frozen=True, slots=True)
class Workers:
    """The consumers and timers of the service."""

    jetstream: JetStream
    schedule_expiry: ScheduleExpiry
    refresh_reel: RefreshReel
    expire_on_time: ExpireOnTime
    expire_story: ExpireStory
    sweep_stories: SweepStories
    purge_stories: PurgeStories
    forget_views: ForgetViews
    notify_followers: NotifyFollowers
    drop_followees: DropFollowees

    def consumers(self) -> list[Consumer]:
        """Return every durable consumer with its handler."""
        return [
            Consumer(
                jetstream=self.jetstream,
                stream=events.STORIES_NAME,
                durable="story-published",
                subjects=subjects(story_events_pb2.StoryPublished.DESCRIPTOR),
                handle=self._published,
                concurrency=64,
            ),
            Consumer(
                jetstream=self.jetstream,
                stream=events.STORIES_NAME,
                durable="story-deleted",
                subjects=subjects(story_events_pb2.StoryDeleted.DESCRIPTOR),
                handle=self._deleted,
            ),
            Consumer(
                jetstream=self.jetstream,
                stream=events.STORIES_NAME,
                durable="story-due",
                subjects=subjects(story_events_pb2.ExpiryApproached.DESCRIPTOR),
                handle=self._expiry_approached,
            ),
            Consumer(
                jetstream=self.jetstream,
                stream=events.STORIES_NAME,
                durable="story-expired",
                subjects=subjects(story_events_pb2.StoryExpired.DESCRIPTOR),
                handle=self._expired,
                concurrency=EXPIRED_AT_ONCE,
            ),
            Consumer(
                jetstream=self.jetstream,
                stream="GRAPH",
                durable="story-edges",
                subjects=subjects(*EDGES),
                handle=self._edge_changed,
            ),
            Consumer(
                jetstream=self.jetstream,
                stream="GRAPH",
                durable="story-blocks",
                subjects=subjects(BLOCKED),
                handle=self._blocked,
            ),
        ]

    def timers(self) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        """Return every periodic job by name."""
        return [
            ("story_sweep", periodic.every(SWEEP_SECONDS, "story_sweep", self.sweep_stories)),
            ("story_purge", periodic.every(PURGE_SECONDS, "story_purge", self.purge_stories)),
            ("story_forget_views", periodic.every(FORGET_SECONDS, "story_forget_views", self.forget_views)),
            ("story_lag", periodic.every(MEASURE_SECONDS, "story_lag", self.sweep_stories.measure)),
        ]

    async def _published(self, received: Received) -> Outcome:
        fact = story_events_pb2.StoryPublished.FromString(received.payload)
        author = UserId(fact.author_id)
        await self.refresh_reel(author)
        await self.schedule_expiry(fact.expire_time.ToDatetime(tzinfo=UTC))
        await self.notify_followers(author, lambda listener: events.live_tray_changed(author, listener))
        return Done()

    async def _deleted(self, received: Received) -> Outcome:
        fact = story_events_pb2.StoryDeleted.FromString(received.payload)
        story_id, author = StoryId(fact.story_id), UserId(fact.author_id)
        end = fact.delete_time.ToDatetime(tzinfo=UTC)
        await self.refresh_reel.without(author, story_id)
        await self.notify_followers(author, lambda listener: events.live_story_gone(story_id, author, end, listener))
        await self.notify_followers(author, lambda listener: events.live_tray_changed(author, listener))
        return Done()

    async def _expiry_approached(self, received: Received) -> Outcome:
        fact = story_events_pb2.ExpiryApproached.FromString(received.payload)
        too_early = await self.expire_on_time(datetime.fromtimestamp(fact.second, UTC))
        return Done() if too_early is None else Retry(too_early.total_seconds())

    async def _expired(self, received: Received) -> Outcome:
        fact = story_events_pb2.StoryExpired.FromString(received.payload)
        story_id, author = StoryId(fact.story_id), UserId(fact.author_id)
        end = fact.expire_time.ToDatetime(tzinfo=UTC)
        remaining = await self.expire_story(Ended(story_id, author, end))
        if remaining is not None:
            return Retry(remaining.total_seconds())
        await self.notify_followers(author, lambda listener: events.live_story_gone(story_id, author, end, listener))
        return Done()

    async def _edge_changed(self, received: Received) -> Outcome:
        fact = graph_events_pb2.UserFollowed.FromString(received.payload)  # both kinds begin with the follower
        await self.drop_followees(UserId(fact.follower_id))
        return Done()

    async def _blocked(self, received: Received) -> Outcome:
        fact = graph_events_pb2.UserBlocked.FromString(received.payload)
        await self.drop_followees.after_block(UserId(fact.blocker_id), UserId(fact.blocked_id))
        return Done()
