"""Tell open apps that their feed has newer posts: at most one notice a person in two seconds."""

import time
from collections.abc import Callable

from feed_svc.cache import Ids
from feed_svc.domain import PostId, UserId
from feed_svc.events import Events

PAUSE_SECONDS = 2.0
NOTICES_AT_ONCE = 5_000
"""A round tells at most so many: notices are hints, and fan-out must not wait for them."""
PEOPLE_AT_MOST = 100_000


class TellFollowers:
    """Gathers what was pushed to whom, and tells it in rounds."""

    def __init__(self, events: Events, *, now: Callable[[], float] = time.monotonic) -> None:
        self._events = events
        self._now = now
        self._waiting: dict[int, tuple[int, PostId]] = {}
        self._told: dict[int, float] = {}

    def note(self, users: Ids, post_id: PostId) -> None:
        """Note that a post was pushed to people who may have the app open."""
        for user in users[: PEOPLE_AT_MOST - len(self._waiting)].tolist():
            count, newest = self._waiting.get(user, (0, post_id))
            self._waiting[user] = (count + 1, max(newest, post_id))

    async def round(self) -> None:
        """Tell those whose last notice is two seconds ago or longer; the others wait for a later round."""
        now = self._now()
        self._told = {user: at for user, at in self._told.items() if now - at < PAUSE_SECONDS}
        due = [user for user in self._waiting if user not in self._told][:NOTICES_AT_ONCE]
        for user in due:
            count, newest = self._waiting.pop(user)
            self._told[user] = now
            await self._events.feed_changed(UserId(user), new_post_count=count, newest_post_id=newest)
