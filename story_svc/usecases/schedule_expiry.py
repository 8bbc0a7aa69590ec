"""See to it that a worker is awake when a story ends."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mesh.clock import Clock
from mesh.schedule import Schedule
from story_svc import events
from story_svc.domain import second_of

LEAD = timedelta(seconds=2)
"""How long before a second begins its wake-up fires: NATS may be late (`mesh.schedule`), a worker takes time too."""
SURE_AHEAD = timedelta(minutes=1)
SECONDS_IN_PROCESS = 10_000


@dataclass(frozen=True, slots=True)
class ScheduleExpiry:
    """One waiting message for each second in which stories end, however many they are."""

    schedule: Schedule
    clock: Clock
    _planned: dict[datetime, None] = field(default_factory=dict)

    async def __call__(self, expire_time: datetime) -> None:
        """Plan the wake-up for a story that ends then; one that is overdue fires at once. Safe to repeat."""
        second = second_of(expire_time)
        if second in self._planned:
            return
        await self.schedule.plan(events.expiry_approached(second), second - LEAD)
        # Only what surely hasn't fired may be left out the next time: a wake-up finds what is committed by then.
        if second - LEAD - self.clock.now() > SURE_AHEAD:
            if len(self._planned) >= SECONDS_IN_PROCESS:
                del self._planned[next(iter(self._planned))]
            self._planned[second] = None
