"""Say that stories are over, and move their rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from mesh.postgres import Connection
from mesh.schedule import Schedule
from story_svc import events
from story_svc.domain import Ended
from story_svc.store import Store


@dataclass(frozen=True, slots=True)
class Ends:
    """What one batch did."""

    moved: int
    said: int
    """Of how many nobody had said it before."""


@dataclass(frozen=True, slots=True)
class EndStories:
    """Any number may do so side by side: each takes rows that nobody else holds.

    StoryExpired is published before the rows are moved, and only where the stream has none: a crash in between leaves
    rows that are taken again, and publishes nothing twice. A story that was deleted is never taken.
    """

    store: Store
    schedule: Schedule

    async def these(self, stories: Sequence[Ended]) -> Ends:
        """End those of the stories whose time is over by the database's clock."""
        async with self.store.transaction() as connection:
            return await self._end(connection, await self.store.lock_ended(connection, stories))

    async def overdue(self, *, limit: int, grace: timedelta) -> Ends:
        """End up to `limit` stories that have been over for `grace`, most overdue first."""
        async with self.store.transaction() as connection:
            return await self._end(connection, await self.store.lock_due(connection, grace=grace, limit=limit))

    async def _end(self, connection: Connection, due: Sequence[Ended]) -> Ends:
        if not due:
            return Ends(0, 0)
        said = await self.schedule.publish_once([events.story_expired(story) for story in due])
        return Ends(len(await self.store.expire_stories(connection, due)), said)
