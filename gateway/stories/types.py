"""Stories, as a viewer sees them."""

from typing import Annotated, cast

import strawberry

from gateway import ids
from gateway.context import Info
from gateway.media import photos
from gateway.nodes import Node
from gateway.paging import After, First, PageInfo, cursor, page_size
from gateway.people.types import User, UserConnection, UserEdge, load_user, unseen
from gateway.scalars import DateTime, count, moment
from heliograph.story.v1 import story_pb2
from heliograph.story.v1.story_service_pb2 import ListViewersRequest
from heliograph.story.v1.story_tray_view_pb2 import StoryReelView

KIND = "Story"


@strawberry.type(description="A photo that is gone 24 hours after it was published.")
class Story(Node):
    """A live story; its author is at hand in a reel, and loaded elsewhere."""

    record: strawberry.Private[story_pb2.Story]
    known_author: strawberry.Private[User | None] = None

    @strawberry.field(description="Opaque, globally unique id.")
    def id(self) -> strawberry.ID:
        """Return the id."""
        return ids.encode(KIND, self.record.story_id)

    @strawberry.field(description="Who published it.")
    def author(self, info: Info) -> User:
        """Return the author, at once or as an awaitable, which graphql-core takes too."""
        return self.known_author or cast(User, load_user(self.record.author_id, info))

    @strawberry.field(
        description="Presigned address of the photo (WebP): it lives for at most 5 minutes and dies with the story."
    )
    def photo_url(self, width: Annotated[int | None, strawberry.argument(description=photos.WIDTH)] = None) -> str:
        """Return the address of the variant that suits a width; empty once the story has ended."""
        return photos.url(self.record.photo, width=width) or ""

    @strawberry.field(description="Placeholder to show while the photo loads; see blurha.sh.")
    def blurhash(self) -> str | None:
        """Return the blurhash."""
        return self.record.photo.blurhash or None

    @strawberry.field(description="When it was published.")
    def created_at(self) -> DateTime:
        """Return when it was published."""
        return moment(self.record.create_time)

    @strawberry.field(description="First moment at which it is gone: 24 hours after it was published.")
    def expires_at(self) -> DateTime:
        """Return when it is gone."""
        return moment(self.record.expire_time)

    @strawberry.field(description="Whether the viewer has seen it; true for the viewer's own.")
    def viewer_has_seen(self) -> bool:
        """Return whether the viewer has seen it."""
        return self.record.viewer_has_seen

    @strawberry.field(description="Who has seen it, most recent first; null unless the viewer is its author.")
    async def viewers(
        self,
        info: Info,
        first: First = 20,
        after: After = None,
    ) -> UserConnection | None:
        """Return a page of viewers, for the author only."""
        if self.record.author_id != info.context.viewer_id:
            return None
        request = ListViewersRequest(
            story_id=self.record.story_id, page_size=page_size(first), page_token=cursor(after), include_cursors=True
        )
        reply = await info.context.clients.stories.ListViewers(request)
        people = await info.context.loaders.users.load_many([viewer.user_id for viewer in reply.viewers])
        return UserConnection(
            edges=[
                UserEdge(cursor=place, node=User(record=person or unseen(viewer.user_id)))
                for viewer, person, place in zip(reply.viewers, people, reply.cursors, strict=True)
            ],
            page_info=PageInfo(has_next_page=bool(reply.next_page_token), end_cursor=reply.next_page_token or None),
            total_count=count(reply.total_count),
        )


@strawberry.type(description="One person's live stories.")
class StoryReel:
    """A reel of the tray."""

    reel: strawberry.Private[StoryReelView]

    @strawberry.field(description="Whose stories.")
    def author(self) -> User:
        """Return whose stories they are."""
        return User(record=self.reel.author)

    @strawberry.field(description="Whether a story among them is new to the viewer; false for the viewer's own.")
    def has_unseen(self) -> bool:
        """Return whether one is new to the viewer."""
        return self.reel.has_unseen

    @strawberry.field(description="Live stories, oldest first; at least one.")
    def stories(self) -> list[Story]:
        """Return the stories."""
        author = User(record=self.reel.author)
        return [Story(record=story_pb2.Story.FromString(story), known_author=author) for story in self.reel.stories]
