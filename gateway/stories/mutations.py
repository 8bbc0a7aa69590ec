"""Mutations of stories."""

import strawberry

from gateway import ids
from gateway.context import Info
from gateway.inputs import Given
from gateway.scalars import checked_text
from gateway.stories.queries import load_story
from gateway.stories.types import KIND, Story
from heliograph.story.v1.story_service_pb2 import DeleteStoryRequest, MarkSeenRequest, PublishStoryRequest


@strawberry.input(description="What `publishStory` needs.")
class PublishStoryInput:
    """What `publishStory` needs."""

    upload_id: strawberry.ID = strawberry.field(description="A READY upload of the viewer, of kind STORY.")
    idempotency_key: str = strawberry.field(
        description="1 to 64 printable ASCII characters, best a UUID; the same key returns the first story."
    )


@strawberry.type(description="What `publishStory` returns.")
class PublishStoryPayload:
    """What `publishStory` returns."""

    story: Story = strawberry.field(description="The story, new or from the first call with this key.")


@strawberry.input(description="What `deleteStory` needs.")
class DeleteStoryInput:
    """What `deleteStory` needs."""

    story_id: strawberry.ID = strawberry.field(description="A story of the viewer.")


@strawberry.type(description="What `deleteStory` returns.")
class DeleteStoryPayload:
    """What `deleteStory` returns."""

    deleted_story_id: strawberry.ID = strawberry.field(description="Id of the story that is gone.")


@strawberry.input(description="What `markStorySeen` needs.")
class MarkStorySeenInput:
    """What `markStorySeen` needs."""

    story_id: strawberry.ID = strawberry.field(description="The story that the viewer has seen.")


@strawberry.type(description="What `markStorySeen` returns.")
class MarkStorySeenPayload:
    """What `markStorySeen` returns."""

    key: strawberry.Private[int]

    @strawberry.field(description="Id of the story.")
    def story_id(self) -> strawberry.ID:
        """Return the id of the story."""
        return ids.encode(KIND, self.key)

    @strawberry.field(description="The story as it is now; null when it has ended meanwhile.")
    async def story(self, info: Info) -> Story | None:
        """Return the story."""
        return await load_story(self.key, info)


@strawberry.type
class StoryMutations:
    """Fields of `Mutation` about stories."""

    @strawberry.mutation(description="Publishes an uploaded photo as a story, for 24 hours.")
    async def publish_story(self, info: Info, input: Given[PublishStoryInput]) -> PublishStoryPayload:
        """Publish a story."""
        request = PublishStoryRequest(
            upload_id=ids.uuid("Upload", input.upload_id), request_id=checked_text(input.idempotency_key)
        )
        reply = await info.context.clients.stories.PublishStory(request)
        return PublishStoryPayload(story=Story(record=reply.story))

    @strawberry.mutation(description="Deletes a story of the viewer before its time; again, it succeeds.")
    async def delete_story(self, info: Info, input: Given[DeleteStoryInput]) -> DeleteStoryPayload:
        """Delete a story."""
        request = DeleteStoryRequest(story_id=ids.number(KIND, input.story_id))
        await info.context.clients.stories.DeleteStory(request)
        return DeleteStoryPayload(deleted_story_id=input.story_id)

    @strawberry.mutation(description="Notes that the viewer has seen a story; seeing it again changes nothing.")
    async def mark_story_seen(self, info: Info, input: Given[MarkStorySeenInput]) -> MarkStorySeenPayload:
        """Note that a story was seen."""
        story_id = ids.number(KIND, input.story_id)
        await info.context.clients.stories.MarkSeen(MarkSeenRequest(story_ids=[story_id]))
        return MarkStorySeenPayload(key=story_id)
