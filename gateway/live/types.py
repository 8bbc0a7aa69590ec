"""What the live subscription yields."""

from typing import Annotated

import strawberry

from gateway import ids
from gateway.context import Info
from gateway.media.queries import load_upload
from gateway.media.types import KIND as UPLOAD
from gateway.media.types import Upload, UploadRejectedReason, UploadStatus, rejected_reason
from gateway.messages.types import CONVERSATION
from gateway.people.types import KIND as USER
from gateway.people.types import User, load_user
from gateway.scalars import DateTime, count, moment
from gateway.stories.types import KIND as STORY
from heliograph.events.v1 import live_events_pb2


@strawberry.type(description="The home feed has newer posts, or changed otherwise: look again.")
class FeedChanged:
    """The feed changed."""

    new_post_count: int = strawberry.field(description="Posts since the last notice; 0 when not counted.")


@strawberry.type(description="The story tray has a new story, or lost one before its time.")
class StoryTrayChanged:
    """The tray changed."""

    event: strawberry.Private[live_events_pb2.LiveEvent.StoryTrayChanged]

    @strawberry.field(description="Id of the person whose reel changed.")
    def author_id(self) -> strawberry.ID:
        """Return whose reel changed."""
        return ids.encode(USER, self.event.author_id)

    @strawberry.field(description="Whose reel changed.")
    async def author(self, info: Info) -> User:
        """Return whose reel changed."""
        return await load_user(self.event.author_id, info)


@strawberry.type(description="A story is gone and must leave the screen.")
class StoryExpired:
    """A story is gone."""

    event: strawberry.Private[live_events_pb2.LiveEvent.StoryExpired]

    @strawberry.field(description="Id of the story.")
    def story_id(self) -> strawberry.ID:
        """Return the id of the story."""
        return ids.encode(STORY, self.event.story_id)

    @strawberry.field(description="Id of its author.")
    def author_id(self) -> strawberry.ID:
        """Return the id of its author."""
        return ids.encode(USER, self.event.author_id)

    @strawberry.field(description="Since when it is gone.")
    def expired_at(self) -> DateTime:
        """Return since when it is gone."""
        return moment(self.event.expire_time)


@strawberry.type(description="One of the viewer's uploads moved on.")
class UploadStatusChanged:
    """An upload moved on."""

    event: strawberry.Private[live_events_pb2.LiveEvent.UploadStatusChanged]

    @strawberry.field(description="Id of the upload.")
    def upload_id(self) -> strawberry.ID:
        """Return the id of the upload."""
        return ids.encode(UPLOAD, self.event.upload_id)

    @strawberry.field(description="Where it stands.")
    def status(self) -> UploadStatus:
        """Return where it stands."""
        return UploadStatus(self.event.status)

    @strawberry.field(description="Why it was rejected; null unless it was.")
    def rejected_reason(self) -> UploadRejectedReason | None:
        """Return why it was rejected."""
        return rejected_reason(self.event.rejected_reason)

    @strawberry.field(description="The upload as it is now.")
    async def upload(self, info: Info) -> Upload:
        """Return the upload."""
        return await load_upload(self.event.upload_id, info)


@strawberry.type(description="The other member of a conversation types, or stopped.")
class Typing:
    """Somebody types."""

    event: strawberry.Private[live_events_pb2.LiveEvent.Typing]

    @strawberry.field(description="Id of the conversation.")
    def conversation_id(self) -> strawberry.ID:
        """Return the id of the conversation."""
        return ids.encode(CONVERSATION, self.event.conversation_id)

    @strawberry.field(description="Id of who types.")
    def user_id(self) -> strawberry.ID:
        """Return the id of who types."""
        return ids.encode(USER, self.event.typist_id)

    @strawberry.field(description="False: stopped.")
    def is_typing(self) -> bool:
        """Return whether they type."""
        return self.event.is_typing

    @strawberry.field(description="When the notice is void unless it is renewed.")
    def expires_at(self) -> DateTime:
        """Return when the notice is void."""
        return moment(self.event.expire_time)


@strawberry.type(description="Somebody with whom the viewer talks came or went.")
class PresenceChanged:
    """Somebody came or went."""

    event: strawberry.Private[live_events_pb2.LiveEvent.PresenceChanged]

    @strawberry.field(description="Id of who came or went.")
    def user_id(self) -> strawberry.ID:
        """Return the id of who came or went."""
        return ids.encode(USER, self.event.member_id)

    @strawberry.field(description="Whether an app of theirs is connected.")
    def is_online(self) -> bool:
        """Return whether they are here."""
        return self.event.is_online

    @strawberry.field(description='When "online" is void unless it is renewed; null when offline.')
    def expires_at(self) -> DateTime | None:
        """Return when "online" is void."""
        return moment(self.event.expire_time) if self.event.HasField("expire_time") else None


LiveEvent = Annotated[
    FeedChanged | StoryTrayChanged | StoryExpired | UploadStatusChanged | Typing | PresenceChanged,
    strawberry.union("LiveEvent", description="A hint for open apps. Nothing is wrong when one is lost."),
]


def shown(event: live_events_pb2.LiveEvent) -> LiveEvent | None:
    """Return an event as clients get it; `None` for a kind that is not known here."""
    match event.WhichOneof("event"):
        case "feed_changed":
            return FeedChanged(new_post_count=count(event.feed_changed.new_post_count))
        case "story_tray_changed":
            return StoryTrayChanged(event=event.story_tray_changed)
        case "story_expired":
            return StoryExpired(event=event.story_expired)
        case "upload_status_changed":
            return UploadStatusChanged(event=event.upload_status_changed)
        case "typing":
            return Typing(event=event.typing)
        case "presence_changed":
            return PresenceChanged(event=event.presence_changed)
        case _:
            return None
