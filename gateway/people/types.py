"""A person, as a viewer sees them."""

from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, ClassVar

import strawberry

from gateway import ids
from gateway.context import Info
from gateway.execution.fragments import OF_RECORD, Recorded, RecordOf
from gateway.media import photos
from gateway.nodes import Node
from gateway.paging import After, First, PageInfo
from gateway.scalars import DateTime, count, moment
from heliograph.feed.v1 import user_pb2

if TYPE_CHECKING:
    from gateway.posts.types import PostConnection

KIND = "User"


@strawberry.type(description="A person's public profile.")
class User(Node, Recorded):
    """A person: a summary that stands beside what they made and may still be bytes, or the whole record."""

    record_of: ClassVar[RecordOf] = attrgetter("record")

    record: strawberry.Private[bytes | user_pb2.UserSummary | user_pb2.User]

    def known(self) -> user_pb2.UserSummary | user_pb2.User:
        """Return the record, decoding it when it is met as bytes."""
        if isinstance(self.record, bytes):
            self.record = user_pb2.UserSummary.FromString(self.record)
        return self.record

    @strawberry.field(description="Opaque, globally unique id.", metadata=OF_RECORD)
    def id(self) -> strawberry.ID:
        """Return the id."""
        return ids.encode(KIND, self.known().user_id)

    @strawberry.field(
        description="Unique name. Empty for someone who is no longer to be seen by the viewer.", metadata=OF_RECORD
    )
    def username(self) -> str:
        """Return the unique name."""
        return self.known().username

    @strawberry.field(
        description="Shown name. Empty for someone who is no longer to be seen by the viewer.", metadata=OF_RECORD
    )
    def display_name(self) -> str:
        """Return the shown name."""
        return self.known().display_name

    @strawberry.field(description="Address of the square profile picture; null when there is none.", metadata=OF_RECORD)
    def avatar_url(self) -> str | None:
        """Return the address of the avatar."""
        return photos.url(self.known().avatar, width=photos.AVATAR_WIDTH, square=True)

    @strawberry.field(description="How many follow this person; exact within seconds.")
    async def follower_count(self, info: Info) -> int:
        """Return the number of followers."""
        return count((await whole_record(self, info)).follower_count)

    @strawberry.field(description="How many this person follows; exact within seconds.")
    async def following_count(self, info: Info) -> int:
        """Return the number of followees."""
        return count((await whole_record(self, info)).following_count)

    @strawberry.field(description="How many posts this person has; exact within seconds.")
    async def post_count(self, info: Info) -> int:
        """Return the number of posts."""
        return count((await whole_record(self, info)).post_count)

    @strawberry.field(description="When this person became known here; null when no longer to be seen by the viewer.")
    async def created_at(self, info: Info) -> DateTime | None:
        """Return when the user was created."""
        record = await whole_record(self, info)
        return moment(record.create_time) if record.HasField("create_time") else None

    @strawberry.field(description="Whether the viewer follows this person.")
    async def viewer_follows(self, info: Info) -> bool:
        """Return whether the viewer follows this person; false for oneself."""
        if self.known().user_id == info.context.viewer_id:
            return False
        return await info.context.loaders.follows.load(self.known().user_id)

    @strawberry.field(description="This person's posts, newest first.")
    async def posts(
        self,
        info: Info,
        first: First = 20,
        after: After = None,
    ) -> Annotated["PostConnection", strawberry.lazy("gateway.posts.types")]:
        """Return a page of posts."""
        from gateway.posts.reads import posts_of  # posts have authors, authors have posts

        return await posts_of(self.known().user_id, info, first=first, after=after)


@strawberry.type(description="A person in a list, with the cursor that continues after them.")
class UserEdge:
    """An edge of a `UserConnection`."""

    cursor: str = strawberry.field(description="Continues right after this person.")
    node: User = strawberry.field(description="The person.")


@strawberry.type(description="A page of people.")
class UserConnection:
    """A page of people."""

    edges: list[UserEdge] = strawberry.field(description="The people, in the list's order.")
    page_info: PageInfo = strawberry.field(description="Where the page stands in the list.")
    total_count: int = strawberry.field(description="How many there are in the whole list.")


async def whole_record(user: User, info: Info) -> user_pb2.User:
    """Return the record with its counters, loading it when only a summary is at hand; empty when it is hidden."""
    if isinstance(known := user.known(), user_pb2.User):
        return known
    return await info.context.loaders.users.load(known.user_id) or unseen(known.user_id)


async def load_user(user_id: int, info: Info) -> User:
    """Return a person by id; one who is hidden from the viewer has an id and empty names."""
    return User(record=await info.context.loaders.users.load(user_id) or unseen(user_id))


def unseen(user_id: int) -> user_pb2.User:
    """Return what is shown of somebody whom the viewer may not see, beside what they once shared."""
    return user_pb2.User(user_id=user_id)
