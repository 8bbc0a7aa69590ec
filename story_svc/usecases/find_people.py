"""Find what stands beside reels: who their authors are."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from mesh.errors import DeadlineExceeded, Unavailable
from mesh.telemetry import get_logger
from story_svc import wire
from story_svc.domain import Person, UserId
from story_svc.peers import Graph

FRESH_SECONDS = 60.0
"""A changed name is shown after so long at the latest."""
SOON_SECONDS = 15.0
"""By lot, people are asked for again up to so much earlier than they must be, so that those who were loaded together
aren't missed by many trays at once; and whoever is due so soon goes with those who are missing.
"""
PEOPLE_IN_PROCESS = 50_000

_log = get_logger(__name__)


@dataclass(slots=True)
class _Known:
    person: Person
    until: float


@dataclass(frozen=True, slots=True)
class FindPeople:
    """From feed_svc, kept in the process for a minute; while feed_svc is away, whatever was known."""

    graph: Graph
    _known: dict[UserId, _Known] = field(default_factory=dict)

    async def __call__(self, user_ids: Sequence[UserId]) -> dict[UserId, Person]:
        """Return the people that there are for the viewer, by id.

        While feed_svc is away nobody is left out: somebody unknown so far is named by id alone.
        """
        moment = time.monotonic()
        found: dict[UserId, Person] = {}
        missing: list[UserId] = []
        soon: list[UserId] = []
        for user_id in user_ids:
            known = self._known.get(user_id)
            if known is None or known.until <= moment:
                missing.append(user_id)
                continue
            found[user_id] = known.person
            if known.until <= moment + SOON_SECONDS:
                soon.append(user_id)
        return found | await self._load(missing + soon, moment) if missing else found

    async def _load(self, wanted: list[UserId], moment: float) -> dict[UserId, Person]:
        try:
            loaded = await self.graph.people(wanted)
        except (Unavailable, DeadlineExceeded) as error:
            _log.warning("people_read_failed", error=repr(error))
            return {
                user_id: self._known[user_id].person if user_id in self._known else wire.unknown_person(user_id)
                for user_id in wanted
            }
        until = moment + FRESH_SECONDS - random.uniform(0, SOON_SECONDS)  # noqa: S311 - nothing secret
        for user_id, person in loaded.items():
            if len(self._known) >= PEOPLE_IN_PROCESS:
                del self._known[next(iter(self._known))]
            self._known[user_id] = _Known(person, until)
        return loaded
