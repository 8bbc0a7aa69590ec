"""story_svc, as its protos promise."""

from collections import defaultdict
from typing import Any

from heliograph.story.v1 import story_pb2, story_service_pb2
from mesh import auth
from mesh.errors import NotFound
from tests.unit.gateway.world.feed import FeedWorld
from tests.unit.gateway.world.records import error


class StoryWorld(FeedWorld):
    """Its RPCs; who follows whom decides."""

    def _story_for(self, story_id: int) -> story_pb2.Story | None:
        record, me = self.stories.get(story_id), auth.viewer_id()
        if record is None or (record.author_id != me and (me, record.author_id) not in self.follows):
            return None
        shown = story_pb2.Story()
        shown.CopyFrom(record)
        shown.viewer_has_seen = record.author_id == me or (me, story_id) in self.seen
        return shown

    def GetStoryTray(self, request: story_service_pb2.GetStoryTrayRequest) -> Any:
        reels: dict[int, list[story_pb2.Story]] = defaultdict(list)
        for story_id in sorted(self.stories):
            if (shown := self._story_for(story_id)) is not None:
                reels[shown.author_id].append(shown)
        return story_service_pb2.GetStoryTrayResponse(
            reels=[
                story_pb2.StoryReel(
                    author=self.summary(author),
                    has_unseen=not all(one.viewer_has_seen for one in stories),
                    stories=stories,
                )
                for author, stories in reels.items()
            ][: request.page_size or 50]
        )

    def ListStories(self, request: story_service_pb2.ListStoriesRequest) -> Any:
        self._user(request.user_id)
        shown = [self._story_for(one) for one in sorted(self.stories)]
        return story_service_pb2.ListStoriesResponse(
            stories=[one for one in shown if one and one.author_id == request.user_id]
        )

    def BatchGetStories(self, request: story_service_pb2.BatchGetStoriesRequest) -> Any:
        return story_service_pb2.BatchGetStoriesResponse(
            results=[
                story_service_pb2.StoryLookup(
                    story_id=one, found=self._story_for(one) is not None, story=self._story_for(one)
                )
                for one in request.story_ids
            ]
        )

    def PublishStory(self, request: story_service_pb2.PublishStoryRequest) -> Any:
        self._own_upload(request.upload_id)
        story_id = max(self.stories, default=900) + 1
        return story_service_pb2.PublishStoryResponse(story=self.story(story_id, auth.viewer_id()))

    def DeleteStory(self, request: story_service_pb2.DeleteStoryRequest) -> Any:
        story = self.stories.get(request.story_id)
        if story is None or story.author_id != auth.viewer_id():
            raise error(NotFound, "STORY_NOT_FOUND")
        del self.stories[request.story_id]
        return story_service_pb2.DeleteStoryResponse()

    def MarkSeen(self, request: story_service_pb2.MarkSeenRequest) -> Any:
        for one in request.story_ids:
            if self._story_for(one) is None:
                raise error(NotFound, "STORY_NOT_FOUND")
            self.seen.add((auth.viewer_id(), one))
        return story_service_pb2.MarkSeenResponse()

    def ListViewers(self, request: story_service_pb2.ListViewersRequest) -> Any:
        story = self.stories.get(request.story_id)
        if story is None or story.author_id != auth.viewer_id():
            raise error(NotFound, "STORY_NOT_FOUND")
        seen = sorted(person for person, one in self.seen if one == request.story_id)
        return story_service_pb2.ListViewersResponse(
            viewers=[story_service_pb2.StoryViewer(user_id=one) for one in seen],
            total_count=len(seen),
            cursors=[str(one) for one in seen] if request.include_cursors else [],
        )
