"""See to it that a story's end is told at its millisecond."""

from collections.abc import Sequence
from dataclasses import dataclass

from mesh.clock import Clock
from mesh.schedule import Schedule
from story_svc import events
from story_svc.domain import Ended, is_live


@dataclass(frozen=True, slots=True)
class ScheduleExpiry:
    """One waiting message a story, which JetStream publishes as StoryExpired at the story's end."""

    schedule: Schedule
    clock: Clock

    async def __call__(self, story: Ended) -> None:
        """Plan StoryExpired; when the moment is over already, say it now. Safe to repeat."""
        fact = events.story_expired(story)
        if is_live(story.expire_time, self.clock.now()):
            await self.schedule.plan(fact, story.expire_time)
        else:
            await self.schedule.publish_once([fact])

    async def cancel(self, stories: Sequence[Ended]) -> None:
        """Take the plans back, of stories that were deleted or whose end has been told otherwise. Safe to repeat."""
        await self.schedule.cancel(*(events.story_expired(story) for story in stories))

    async def say_now(self, stories: Sequence[Ended]) -> int:
        """Publish StoryExpired for those of whom nobody has yet; return how many those were."""
        return await self.schedule.publish_once([events.story_expired(story) for story in stories])
