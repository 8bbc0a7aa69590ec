"""A post, as a viewer sees it."""

from operator import attrgetter
from typing import Annotated, ClassVar

import strawberry

from gateway import ids
from gateway.execution.fragments import OF_RECORD, Recorded, RecordOf
from gateway.media import photos
from gateway.nodes import Node
from gateway.paging import PageInfo
from gateway.people.types import User
from gateway.scalars import DateTime, count, moment
from heliograph.feed.v1.feed_item_pb2 import FeedItem
from heliograph.feed.v1.feed_item_view_pb2 import FeedItemView
from heliograph.feed.v1.post_pb2 import Post as PostRecord

KIND = "Post"


@strawberry.type(description="A photo with a caption, shown in the feeds of the author's followers.")
class Post(Node, Recorded):
    """A post: its immutable record, which may still be bytes, and what is the viewer's or counts."""

    record_of: ClassVar[RecordOf] = attrgetter("item.post")

    item: strawberry.Private[FeedItem | FeedItemView]
    decoded: strawberry.Private[PostRecord | None] = None

    def record(self) -> PostRecord:
        """Return the record, decoding it when it is met as bytes."""
        if self.decoded is None:
            record = self.item.post
            self.decoded = PostRecord.FromString(record) if isinstance(record, bytes) else record
        return self.decoded

    @strawberry.field(description="Opaque, globally unique id.", metadata=OF_RECORD)
    def id(self) -> strawberry.ID:
        """Return the id."""
        return ids.encode(KIND, self.record().post_id)

    @strawberry.field(description="Who published it.", metadata=OF_RECORD)
    def author(self) -> User:
        """Return the author."""
        return User(record=self.record().author)

    @strawberry.field(description="Address of the photo (WebP); it never expires.", metadata=OF_RECORD)
    def photo_url(self, width: Annotated[int | None, strawberry.argument(description=photos.WIDTH)] = None) -> str:
        """Return the address of the variant that suits a width."""
        return photos.url(self.record().photo, width=width) or ""

    @strawberry.field(description="Placeholder to show while the photo loads; see blurha.sh.", metadata=OF_RECORD)
    def blurhash(self) -> str | None:
        """Return the blurhash."""
        return self.record().photo.blurhash or None

    @strawberry.field(description="Width of the photo in pixels, divided by its height.", metadata=OF_RECORD)
    def aspect_ratio(self) -> float | None:
        """Return the aspect ratio."""
        photo = self.record().photo
        return photo.width / photo.height if photo.height else None

    @strawberry.field(description="Description for those who can't see the photo.", metadata=OF_RECORD)
    def alt_text(self) -> str | None:
        """Return the alternative text."""
        return self.record().alt_text or None

    @strawberry.field(description="Caption as written; may be empty.", metadata=OF_RECORD)
    def caption(self) -> str:
        """Return the caption."""
        return self.record().caption

    @strawberry.field(description="When it was published.", metadata=OF_RECORD)
    def created_at(self) -> DateTime:
        """Return when it was published."""
        return moment(self.record().create_time)

    @strawberry.field(description="How many like it; exact within seconds.")
    def like_count(self) -> int:
        """Return the number of likes."""
        return count(self.item.like_count)

    @strawberry.field(description="Whether the viewer likes it.")
    def viewer_has_liked(self) -> bool:
        """Return whether the viewer likes it."""
        return self.item.viewer_has_liked


@strawberry.type(description="A post in a list, with the cursor that continues after it.")
class PostEdge:
    """An edge of a connection of posts."""

    cursor: str = strawberry.field(description="Continues right after this post.")
    node: Post = strawberry.field(description="The post.")


@strawberry.type(description="A page of somebody's posts.")
class PostConnection:
    """A page of posts."""

    edges: list[PostEdge] = strawberry.field(description="The posts, newest first.")
    page_info: PageInfo = strawberry.field(description="Where the page stands in the list.")
